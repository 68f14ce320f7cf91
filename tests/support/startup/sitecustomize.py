"""Python imports this at its start in every process that the suite starts: emulators there note what they issue.

It must cost nothing where no emulator runs: some of those processes measure imports.
"""

import os
import sys

FOLDER_VARIABLE = "WEBEX_TESTS_ISSUED_SECRETS"
_MODULE = "webex.emulator.cloud"


def note_issued_secrets(folder):
    """Let every emulator of this process write what it issues into a file in `folder`."""
    if _MODULE in sys.modules:
        _wrap(sys.modules[_MODULE], folder)
    else:
        sys.meta_path.insert(0, _Finder(folder))


class _Finder:
    """Waits for the emulator to be imported."""

    def __init__(self, folder):
        self._folder = folder

    def find_spec(self, name, path=None, target=None):
        if name != _MODULE:
            return None
        import importlib.util

        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None:
            spec.loader = _Loader(spec.loader, self._folder)
        return spec


class _Loader:
    """Loads as the loader does that it stands for, then wraps."""

    def __init__(self, loader, folder):
        self._loader, self._folder = loader, folder

    def create_module(self, spec):
        return self._loader.create_module(spec)

    def exec_module(self, module):
        self._loader.exec_module(module)
        _wrap(module, self._folder)

    def __getattr__(self, name):
        return getattr(self._loader, name)


def _wrap(module, folder):
    from webex.emulator import accounts

    if getattr(module.Cloud.new_secret, "noted", False):
        return
    issue = module.Cloud.new_secret

    def note(*values):
        # Opened anew each time: after a fork the child has a file of its own.
        with open(os.path.join(folder, f"{os.getpid()}.secrets"), "a") as file:
            file.write("".join(f"{value}\n" for value in values))

    def new_secret(self):
        value = issue(self)
        note(value)
        return value

    new_secret.noted = True
    module.Cloud.new_secret = new_secret
    note(*(value for name, value in vars(accounts).items() if name.endswith(("_TOKEN", "_SECRET"))))


if os.environ.get(FOLDER_VARIABLE) and __name__ == "sitecustomize":
    note_issued_secrets(os.environ[FOLDER_VARIABLE])
