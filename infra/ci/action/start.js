// Starts job.py: in the place of the action in the job, and once more after the last step of the job. GitHub starts only
// JavaScript after a job, and every runner has Python. The script knows from its environment which of the two it is.
const { spawnSync } = require("node:child_process");
const { join } = require("node:path");

const python = process.platform === "win32" ? "python" : "python3";
const done = spawnSync(python, ["-I", join(__dirname, "job.py")], { stdio: "inherit" });
if (done.error) console.log(`::error title=Postern::this action needs ${python} on the runner: ${done.error.message}`);
process.exitCode = done.status ?? 1;
