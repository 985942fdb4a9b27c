"""How `make lab` runs JupyterLab: on this computer only, behind the token that Jupyter makes at every start."""

from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent

c = get_config()  # noqa: F821  Jupyter puts it here
c.ServerApp.ip = "127.0.0.1"
c.ServerApp.allow_remote_access = False
c.ServerApp.root_dir = str(ROOT)
c.LabApp.default_url = f"/lab/tree/nbs/{min(path.name for path in ROOT.glob('nbs/*.ipynb'))}"  # the first chapter
c.LabApp.app_settings_dir = str(HERE / "settings")  # no news, no extension manager; a person's own settings come after
c.LabApp.check_for_updates_class = "jupyterlab.NeverCheckForUpdate"
c.LabApp.news_url = None
c.LabApp.extension_manager = "readonly"
