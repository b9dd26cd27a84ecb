//! Installs missing tools: with apt-get where that needs no question, otherwise by printing instructions.

use std::env;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::need::{Need, Packages, Source, Task, has_program, missing_for};
use crate::process::{answer, say, shown, succeeds, workspace_root};

/// Ensures that the command has everything it needs.
///
/// # Errors
///
/// If something is missing and could not be installed; the message says how to install it.
pub(crate) fn ensure(task: Task) -> Result<()> {
    let missing = missing_for(task);
    if missing.is_empty() {
        return Ok(());
    }
    if let Some(account) = Account::that_may_install() {
        install_with_apt(account, &missing)?;
    }
    let missing = missing_for(task);
    if missing.is_empty() {
        return Ok(());
    }
    bail!(advice(task, &missing, is_root()));
}

/// How apt-get is run.
#[derive(Debug, Clone, Copy)]
enum Account {
    Root,
    Sudo,
}

impl Account {
    fn that_may_install() -> Option<Self> {
        if !has_program("apt-get") {
            None
        } else if is_root() {
            Some(Self::Root)
        } else {
            succeeds(Command::new("sudo").args(["-n", "true"])).then_some(Self::Sudo)
        }
    }

    fn apt_get(self, args: &[&str]) -> Command {
        // sudo drops the environment, so that `env` sets it on the inner side.
        let mut words = vec![
            "env",
            "DEBIAN_FRONTEND=noninteractive",
            "apt-get",
            "-o",
            "DPkg::Lock::Timeout=300",
        ];
        words.extend_from_slice(args);
        match self {
            Self::Root => {
                let mut command = Command::new("env");
                command.args(words.into_iter().skip(1));
                command
            }
            Self::Sudo => {
                let mut command = Command::new("sudo");
                command.arg("-n").args(words);
                command
            }
        }
    }
}

fn is_root() -> bool {
    answer(Command::new("id").arg("-u")).is_some_and(|id| id == "0")
}

fn install_with_apt(account: Account, missing: &[&Need]) -> Result<()> {
    let wanted = packages(missing, |packages| packages.apt);
    if wanted.is_empty() {
        return Ok(());
    }
    for need in missing {
        if let Source::System(packages) = &need.source {
            say(&format!(
                "installing {} for {}: {}",
                packages.apt, need.name, need.why
            ));
        }
    }
    let mut install = vec!["install", "-y", "--no-install-recommends"];
    install.extend(&wanted);

    let log = Log::create()?;
    // Package lists are missing in a fresh image and outdated in an old one; only a failed install
    // shows it.
    if log.run(account.apt_get(&install))? {
        return Ok(());
    }
    if log.run(account.apt_get(&["update"]))? && log.run(account.apt_get(&install))? {
        return Ok(());
    }
    bail!(
        "apt-get could not install {}; its output:\n{}",
        wanted.join(" "),
        log.read()
    );
}

/// The packages to install, each once, in the table's order.
fn packages(missing: &[&Need], of: impl Fn(&Packages) -> &'static str) -> Vec<&'static str> {
    let mut names = Vec::new();
    for need in missing {
        if let Source::System(packages) = &need.source
            && !names.contains(&of(packages))
        {
            names.push(of(packages));
        }
    }
    names
}

fn advice(task: Task, missing: &[&Need], root: bool) -> String {
    let mut lines = vec![format!(
        "`cargo xtask {}` needs what is missing here:",
        task.name()
    )];
    lines.extend(
        missing
            .iter()
            .map(|need| format!("  {:<16}  {}", need.name, need.why)),
    );
    lines.push("Install it with the line for this system, then run the command again:".to_owned());
    lines.extend(system_commands(task, missing, root));
    lines.extend(rustup_command(missing));
    lines.join("\n")
}

fn system_commands(task: Task, missing: &[&Need], root: bool) -> Vec<String> {
    let sudo = if root { "" } else { "sudo " };
    let line = |system, command: &str, of: fn(&Packages) -> &'static str| {
        format!(
            "  {system:<16}  {sudo}{command} {}",
            packages(missing, of).join(" ")
        )
    };
    let nix = packages(missing, |packages| packages.nix).join(" ");
    if nix.is_empty() {
        return Vec::new();
    }
    vec![
        line(
            "Debian, Ubuntu",
            "apt-get install -y --no-install-recommends",
            |packages| packages.apt,
        ),
        line("Fedora", "dnf install -y", |packages| packages.dnf),
        line("Arch", "pacman -S --needed --noconfirm", |packages| {
            packages.pacman
        }),
        line("Alpine", "apk add", |packages| packages.apk),
        format!(
            "  {:<16}  nix-shell -p {nix} --run 'cargo xtask {}'",
            "Nix",
            task.name()
        ),
    ]
}

fn rustup_command(missing: &[&Need]) -> Option<String> {
    let components = missing.iter().filter_map(|need| match need.source {
        Source::Rustup(component) => Some(component),
        Source::System(_) => None,
    });
    let components = components.collect::<Vec<_>>().join(" ");
    (!components.is_empty()).then(|| format!("  {:<16}  rustup component add {components}", "any"))
}

/// apt-get's output, buffered until it is known whether to show it.
struct Log {
    path: PathBuf,
}

impl Log {
    fn create() -> Result<Self> {
        let folder = env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| workspace_root().join("target"), PathBuf::from);
        fs::create_dir_all(&folder)
            .with_context(|| format!("cannot create the folder {}", folder.display()))?;
        let path = folder.join("xtask-apt-get.log");
        File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self { path })
    }

    /// Runs the program and appends its output; returns whether it succeeded.
    fn run(&self, mut command: Command) -> Result<bool> {
        let file = File::options().append(true).open(&self.path);
        let file = file.with_context(|| format!("cannot write {}", self.path.display()))?;
        let status = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .status();
        Ok(status
            .with_context(|| format!("cannot start `{}`", shown(&command)))?
            .success())
    }

    fn read(&self) -> String {
        fs::read(&self.path).map_or_else(
            |_| String::new(),
            |text| String::from_utf8_lossy(&text).into_owned(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::need::all;

    fn named(names: &[&str]) -> Vec<&'static Need> {
        all()
            .iter()
            .filter(|need| names.contains(&need.name))
            .collect()
    }

    #[test]
    fn the_advice_names_what_why_and_the_command_for_each_system() {
        let text = advice(
            Task::Test,
            &named(&["git http-backend", "ping", "rustfmt"]),
            false,
        );
        for part in [
            "`cargo xtask test` needs",
            "the tests send packets through tunnels with it",
            "sudo apt-get install -y --no-install-recommends git iputils-ping\n",
            "sudo dnf install -y git iputils\n",
            "sudo pacman -S --needed --noconfirm git iputils\n",
            "sudo apk add git-daemon iputils-ping\n",
            "nix-shell -p git iputils --run 'cargo xtask test'\n",
            "rustup component add rustfmt",
        ] {
            assert!(text.contains(part), "no {part:?} in\n{text}");
        }
    }

    #[test]
    fn root_is_not_told_to_use_sudo() {
        let text = advice(Task::Demo, &named(&["wg"]), true);
        assert!(
            text.contains(" apt-get install") && !text.contains("sudo"),
            "{text}"
        );
    }

    #[test]
    fn a_missing_component_alone_brings_no_package_managers_in() {
        let text = advice(Task::Check, &named(&["rustfmt", "clippy"]), false);
        assert!(
            text.ends_with("rustup component add rustfmt clippy") && !text.contains("apt-get"),
            "{text}"
        );
    }

    #[test]
    fn a_package_that_holds_two_things_is_installed_once() {
        assert_eq!(
            packages(
                &named(&["unshare", "nsenter", "git", "git http-backend"]),
                |p| p.apt
            ),
            ["git", "util-linux"]
        );
    }

    #[test]
    fn sudo_hands_the_setting_on_to_apt_get() {
        let words = shown(&Account::Sudo.apt_get(&["update"]));
        assert_eq!(
            words,
            "sudo -n env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 update"
        );
    }
}
