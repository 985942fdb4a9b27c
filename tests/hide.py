"""A program for a fresh interpreter: what runs after it finds no installed distribution but the light core."""

HIDE = '''
import importlib, importlib.metadata as metadata, json, re, sys

def closure(wanted):
    """The distributions, by normalized name, that these need, whatever markers say; extras only where asked for."""
    normal = lambda name: re.sub(r"[-_.]+", "-", name).lower()
    seen, queue = set(), [(normal(name), "") for name in wanted]
    while queue:
        name, extras = queue.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        try:
            requires = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue
        for line in requires:
            base, more = re.match(r"([A-Za-z0-9._-]+)\\s*(?:\\[([^]]*)\\])?", line).groups()
            gate = re.search(r"extra\\s*==\\s*.([A-Za-z0-9_-]+)", line)
            if gate is None or gate[1] in extras.split(","):
                queue.append((normal(base), (more or "").replace(" ", "")))
    return {name for name, _ in seen}

LIGHT = "torch numpy scipy opencv-python-headless tqdm safetensors lightning-fabric".split()
kept = closure(LIGHT)
normal = lambda name: re.sub(r"[-_.]+", "-", name).lower()
hidden = {top for top, owners in metadata.packages_distributions().items()
          if not kept & {normal(owner) for owner in owners} and top != "labutils" and not top.startswith("_")}

class Hiding:
    """A finder that does not find what is hidden, as if it were not installed."""
    def __init__(self, finder):
        self.finder = finder
    def find_spec(self, name, path=None, target=None):
        return None if name.split(".")[0] in hidden else self.finder.find_spec(name, path, target)
    def __getattr__(self, name):
        return getattr(self.finder, name)

sys.meta_path[:] = [Hiding(finder) for finder in sys.meta_path]
'''
