"""`inkstone generate --preview` in a terminal: what it shows is the image, in the place that it made for it. Python's own library alone.

INKSTONE_BINARY is the program, INKSTONE_SOURCE the source tree."""
import base64, fcntl, os, pathlib, pty, re, select, struct, subprocess, sys, tempfile, termios, unittest, zlib

BINARY, SOURCE = os.environ["INKSTONE_BINARY"], os.environ["INKSTONE_SOURCE"]
TAESD = SOURCE + "/tests/fixtures/taesd/taesd_decoder.safetensors"
ROWS, COLUMNS = 30, 100


def run(arguments, **environment):
    """What the terminal gets, and the images that were written."""
    main, side = pty.openpty()
    fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, COLUMNS * 8, ROWS * 16))
    known = {name: value for name, value in os.environ.items() if name not in ("TERM", "TERM_PROGRAM", "LC_TERMINAL", "KITTY_WINDOW_ID", "TMUX")}
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen([BINARY, "generate", "a red apple", "--seed", "1", "--steps", "4", "--out", "a.png", *arguments], cwd=folder,
                                   env=known | {"TERM": "xterm-256color"} | environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=side)
        os.close(side)
        text = b""
        while select.select([main], [], [], 120)[0]:
            try: piece = os.read(main, 65536)
            except OSError: break
            if not piece: break
            text += piece
        os.close(main)
        assert process.wait(60) == 0, text
        images = [pathlib.Path(folder, name).read_bytes() for name in sorted(os.listdir(folder))]
    return text.decode("utf-8", "replace"), images


def pixels(png):
    """Rows of RGB of an 8-bit PNG without interlacing."""
    at, data = 8, b""
    while at < len(png):
        size, kind = struct.unpack(">I4s", png[at:at + 8])
        if kind == b"IHDR": width, height = struct.unpack(">II", png[at + 8:at + 16])
        if kind == b"IDAT": data += png[at + 8:at + 8 + size]
        at += size + 12
    data, rows, before = zlib.decompress(data), [], bytes(3 * width)
    for y in range(height):
        kind, row = data[y * (3 * width + 1)], bytearray(data[y * (3 * width + 1) + 1:(y + 1) * (3 * width + 1)])
        for i in range(len(row)):
            left, up, corner = (row[i - 3] if i >= 3 else 0), before[i], (before[i - 3] if i >= 3 else 0)
            guess = left + up - corner
            paeth = min((left, up, corner), key=lambda value: abs(guess - value))
            row[i] = (row[i] + (0, left, up, (left + up) // 2, paeth)[kind]) & 255
        rows.append(bytes(row))
        before = bytes(row)
    return rows


class Previews(unittest.TestCase):
    def test_blocks_end_as_the_image(self):
        for more in ([], ["--preview-vae", TAESD]):
            text, images = run(["--preview", *more])
            frames = re.findall(r"\x1b7\r\x1b\[(\d+)A(.*?)\x1b8", text, re.S)
            self.assertGreaterEqual(len(frames), 2, text)
            height = int(frames[0][0])
            self.assertEqual({int(rows) for rows, _ in frames}, {height})
            self.assertEqual(text.count("\r\x1b[K" + "\r\n" * height + "\x1b7"), 1)  # its place
            rows = [re.findall(r"\x1b\[38;2;(\d+);(\d+);(\d+);48;2;(\d+);(\d+);(\d+)m\u2580", line) for line in frames[-1][1].split("\r\n")[:-1]]
            self.assertEqual(len(rows), height)
            # The demo's 64x64 pixels in 48x48: the colours at the middle of the cells are near the image's.
            image, width, off = pixels(images[0]), len(rows[0]), []
            for y, row in enumerate(rows):
                for x, cell in enumerate(row):
                    for half in (0, 1):
                        at = image[min(63, int((2 * y + half + 0.5) * 64 / (2 * height)))]
                        pixel = at[3 * int((x + 0.5) * 64 / width):][:3]
                        off += [abs(int(cell[3 * half + c]) - pixel[c]) for c in range(3)]
            self.assertLess(sum(off) / len(off), 12)

    def test_each_terminal_gets_its_own_sequences(self):
        for environment, found, other in ((dict(TERM="xterm-kitty"), "\x1b_Ga=T,f=100,q=2,C=1,i=", "\u2580"), (dict(TERM_PROGRAM="iTerm.app"), "\x1b]1337;File=inline=1;", "\u2580"),
                                          (dict(TERM="foot"), "\x1bP0;1q\"1;1;", "\u2580"), (dict(TERM="xterm-kitty", TMUX="/tmp/tmux"), "\u2580", "\x1b_G")):
            text, _ = run(["--preview"], **environment)
            self.assertIn(found, text)
            self.assertNotIn(other, text)

    def test_the_flag_is_nearer_than_the_terminal(self):
        text, images = run(["--preview=kitty", "--preview-vae", TAESD], TERM="foot")
        frames = re.findall(r"\x1b7\r\x1b\[\d+A((?:\x1b_G.*?\x1b\\)+)\x1b8", text, re.S)
        last = base64.b64decode("".join(re.findall(r"\x1b_G[^;]*;(.*?)\x1b\\", frames[-1], re.S)))
        self.assertEqual(pixels(last), pixels(images[0]))

    def test_each_image_has_a_place_of_its_own(self):
        text, images = run(["--preview", "--count", "2", "--steps", "2"], TERM="xterm-kitty")
        self.assertEqual(len(images), 2)
        self.assertEqual({int(number) for number in re.findall(r"C=1,i=(\d+)", text)}, {6401, 6402})

    def test_dumb_and_quiet_show_nothing(self):
        text, _ = run(["--preview"], TERM="dumb")
        self.assertIn("no previews are shown", text)
        self.assertNotIn("\x1b", text)
        self.assertEqual(run(["--preview", "--quiet"])[0], "")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
