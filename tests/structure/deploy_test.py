"""deploy/ is consistent with itself and with the program, as far as can be seen without a cluster or a builder."""
import pathlib
import re
import unittest

try:
    import yaml  # Debian's python3-yaml
except ImportError:
    yaml = None

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
API_VERSIONS = {"Service": "v1", "Deployment": "apps/v1", "Job": "batch/v1", "PodDisruptionBudget": "policy/v1",
                "NetworkPolicy": "networking.k8s.io/v1", "Ingress": "networking.k8s.io/v1"}


def server_flags():
    table = (ROOT / "src/app/options.cpp").read_text()
    return set(re.findall(r'^    \{"([a-z-]+)",', table, re.M))


def documents(file):
    return [(f"{file.name}: {each['kind']} {each['metadata']['name']}", each) for each in yaml.safe_load_all(file.read_text())]


def pods(file):
    return [(name, each["spec"]["template"]) for name, each in documents(file) if "template" in each["spec"]]


@unittest.skipUnless(yaml, "skipped: there is no python3-yaml")
class Manifests(unittest.TestCase):
    files = sorted(DEPLOY.glob("kubernetes*.yaml"))

    def test_each_document_is_of_a_known_kind_and_named_once(self):
        for file in self.files:
            names = []
            for name, each in documents(file):
                self.assertEqual(each["apiVersion"], API_VERSIONS[each["kind"]], name)
                names.append(name)
            self.assertEqual(len(names), len(set(names)), names)

    def test_selectors_find_pods_and_ports_have_names(self):
        for file in self.files:
            labels = [pod["metadata"]["labels"] for _, pod in pods(file)]
            ports = {port["name"] for _, pod in pods(file) for each in pod["spec"]["containers"] for port in each.get("ports", [])}
            services = {each["metadata"]["name"]: each for _, each in documents(file) if each["kind"] == "Service"}
            for name, each in documents(file):
                spec = each["spec"]
                selector = spec.get("podSelector") or spec.get("selector")
                if selector:
                    self.assertIn(selector.get("matchLabels", selector), labels, name)
                if each["kind"] == "Deployment":
                    self.assertEqual(selector["matchLabels"], spec["template"]["metadata"]["labels"], name)
                if each["kind"] == "Service":
                    self.assertTrue(all(port["targetPort"] in ports for port in spec["ports"]), name)
                if each["kind"] == "NetworkPolicy":
                    self.assertTrue(all(port["port"] in ports for rule in spec["ingress"] for port in rule["ports"]), name)
                if each["kind"] == "Ingress":
                    for path in (path for rule in spec["rules"] for path in rule["http"]["paths"]):
                        service = services[path["backend"]["service"]["name"]]
                        self.assertIn(path["backend"]["service"]["port"]["number"], [port["port"] for port in service["spec"]["ports"]], name)

    def test_pods_have_no_rights_that_they_do_not_need_and_say_what_they_take(self):
        for file in self.files:
            for name, pod in pods(file):
                spec = pod["spec"]
                self.assertIs(spec["enableServiceLinks"], False, name)
                self.assertIs(spec["automountServiceAccountToken"], False, name)
                self.assertTrue(spec["securityContext"]["runAsNonRoot"] and spec["securityContext"]["runAsUser"] > 0, name)
                for container in spec["containers"]:
                    rights = container["securityContext"]
                    self.assertIs(rights["allowPrivilegeEscalation"], False, name)
                    self.assertIs(rights["readOnlyRootFilesystem"], True, name)
                    self.assertEqual(rights["capabilities"], {"drop": ["ALL"]}, name)
                    for part in ("requests", "limits"):
                        self.assertLessEqual({"cpu", "memory"}, set(container["resources"][part]), name)
                    cards = [{key: value for key, value in container["resources"][part].items() if key.startswith("huawei.com/")}
                             for part in ("requests", "limits")]
                    self.assertEqual(cards[0], cards[1], f"{name}: a device's request is its limit")

    def test_mounts_are_volumes_and_volumes_are_mounted(self):
        for file in self.files:
            for name, pod in pods(file):
                mounted = {mount["name"] for each in pod["spec"]["containers"] for mount in each["volumeMounts"]}
                self.assertEqual(mounted, {volume["name"] for volume in pod["spec"]["volumes"]}, name)

    def test_servers_are_started_with_flags_that_exist_and_asked_at_addresses_that_exist(self):
        health = (ROOT / "src/serve/api/health.cpp").read_text()
        for file in self.files:
            for name, pod in pods(file):
                for container in pod["spec"]["containers"]:
                    flags = [word[2:] for word in container["args"] if word.startswith("--")]
                    self.assertEqual([flag for flag in flags if flag not in server_flags()], [], name)
                    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                        if "command" in container:
                            continue
                        self.assertIn(f'"{container[probe]["httpGet"]["path"]}"', health, name)
                        self.assertIn(container[probe]["httpGet"]["port"], [port["name"] for port in container["ports"]], name)
                if "ports" in pod["spec"]["containers"][0]:
                    self.assertGreater(pod["spec"]["terminationGracePeriodSeconds"], 60, f"{name}: longer than the server's grace")

    def test_a_card_is_served_and_drawn_on(self):
        kinds = {each["kind"]: each for _, each in documents(DEPLOY / "kubernetes-ascend.yaml")}
        for kind in ("Deployment", "Job"):
            spec = kinds[kind]["spec"]["template"]["spec"]
            self.assertIn("npu:0", spec["containers"][0]["args"])
            self.assertEqual(spec["containers"][0]["resources"]["limits"]["huawei.com/Ascend910"], 1)
            self.assertTrue(spec["nodeSelector"])
            self.assertTrue(spec["securityContext"]["supplementalGroups"], "HwHiAiUser's")


class Images(unittest.TestCase):
    def test_they_are_built_in_stages_and_run_without_root(self):
        for file in sorted(DEPLOY.glob("Dockerfile*")):
            text = re.sub(r"^#.*\n", "", file.read_text(), flags=re.M)
            stages = re.split(r"^FROM ", text, flags=re.M)[1:]
            self.assertGreater(len(stages), 1, file)
            last = stages[-1]
            self.assertRegex(last, r"(?m)^USER [1-9]\d*$", file)
            for word in ("EXPOSE 8080", "HEALTHCHECK ", 'ENTRYPOINT ["inkstone", "serve"'):
                self.assertIn(word, last, file)
            self.assertNotRegex(last, r"(?m)^COPY \. ", f"{file}: sources and what lies about stay in the first stage")

    def test_what_lies_about_in_a_checkout_is_not_sent_to_the_builder(self):
        ignored = (ROOT / ".dockerignore").read_text().split("\n")
        for word in (".git", "build", ".training", ".venv", "**/*.png", "**/*.key", "**/*.pem", "**/keys", "**/.env"):
            self.assertIn(word, ignored)


class Honesty(unittest.TestCase):
    def test_what_never_ran_says_so(self):
        for name in ("kubernetes.yaml", "kubernetes-ascend.yaml", "Dockerfile.ascend"):
            self.assertRegex((DEPLOY / name).read_text(), "NEVER (BUILT OR )?RUN", name)


if __name__ == "__main__":
    unittest.main()
