"""A classroom on one machine: learners are its system users, models lie in one folder that nobody but root writes.

As root, in the folder that you cloned:  .venv-hub/bin/jupyterhub -f docs/jupyterhub_config.py
docs/instructor.md has the steps before that; `make test-hub` (tests/hub.py) runs this very file with two users.
"""

import os
import pwd
import subprocess
import sys
from pathlib import Path

KIT = Path(__file__).resolve().parent.parent
TOOLS = Path(sys.executable).parent
MODELS = os.environ.get("LABKIT_MODELS", "/srv/labkit/models")
LABS = sorted(map(str, (KIT / "notebooks").glob("lab*.ipynb")))

c = get_config()  # noqa: F821 (JupyterHub gives it)
c.JupyterHub.bind_url = os.environ.get("LABKIT_HUB_URL", "http://127.0.0.1:8000")  # put a proxy with TLS before it
c.JupyterHub.authenticator_class = "pam"
c.PAMAuthenticator.allowed_groups = {os.environ.get("LABKIT_LEARNERS", "learners")}
c.PAMAuthenticator.open_sessions = False
c.ConfigurableHTTPProxy.command = [str(KIT / ".venv-hub/proxy/node_modules/.bin/configurable-http-proxy")]

c.JupyterHub.spawner_class = "localprocess"  # a learner's server and kernels run as the learner
c.Spawner.cmd = [str(TOOLS / "jupyterhub-singleuser")]
c.Spawner.default_url = "/lab"
c.Spawner.http_timeout = c.Spawner.start_timeout = 300
c.Spawner.environment = {"LABKIT_MODELS": MODELS, "PYTHONPATH": str(KIT), "HF_HUB_OFFLINE": "1"}


def hand_out(spawner):
    """The labs that `my-labs/` in the learner's home lacks, copied as the learner; what is there is never replaced."""
    learner = pwd.getpwnam(spawner.user.name)
    labs = f"{learner.pw_dir}/my-labs"
    who = {"user": learner.pw_uid, "group": learner.pw_gid, "extra_groups": [], "cwd": learner.pw_dir}
    subprocess.run(["mkdir", "-p", labs], check=True, **who)
    subprocess.run(["cp", "-n", *LABS, labs], check=True, **who)


c.Spawner.pre_spawn_hook = hand_out
