// What the page has beside its work: light or dark colours, menus that close, a word from a hidden tab.
import { $ } from "./dom.js";

const themes = ["auto", "light", "dark"];
const words = { auto: "as the system", light: "light", dark: "dark" };

function showTheme(theme) {
  document.documentElement.dataset.theme = theme;
  $("theme").setAttribute("aria-label", `Colours: ${words[theme]}`);
  $("theme").title = `Colours: ${words[theme]}`;
}

function listenToTheme() {
  const now = () => localStorage.getItem("theme") ?? "auto";
  showTheme(now());
  $("theme").addEventListener("click", () => {
    localStorage.setItem("theme", themes[(themes.indexOf(now()) + 1) % themes.length]);
    showTheme(now());
  });
}

function listenToMenus() {
  const menus = [...document.querySelectorAll("details.menu")];
  addEventListener("pointerdown", (event) => { for (const menu of menus) if (!menu.contains(event.target)) menu.open = false; });
  for (const menu of menus) {
    menu.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !menu.open) return;
      event.stopPropagation();
      menu.open = false;
      menu.querySelector("summary").focus();
    });
    for (const button of menu.querySelectorAll(".list button, .list a")) button.addEventListener("click", () => { menu.open = false; });
  }
}

const canNotify = () => isSecureContext && "Notification" in window;
const wantsNotes = () => canNotify() && Notification.permission === "granted" && localStorage.getItem("notify") === "yes";

function listenToNotify() {
  $("notify-row").hidden = !canNotify();
  $("notify").checked = wantsNotes();
  $("notify").addEventListener("change", async () => {
    if ($("notify").checked && (await Notification.requestPermission()) !== "granted") $("notify").checked = false;
    localStorage.setItem("notify", $("notify").checked ? "yes" : "no");
  });
}

// If somebody asked for it, and the tab is hidden.
export function notify(title, body) {
  if (wantsNotes() && document.visibilityState === "hidden") new Notification(title, { body, icon: "icon.svg", tag: "inkstone" });
}

export function listenToShell() {
  listenToTheme();
  listenToMenus();
  listenToNotify();
}
