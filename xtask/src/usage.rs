//! The command line: the command, its arguments, and the help text.
//!
//! Knows nothing about what the commands do.

use std::ffi::OsString;
use std::fmt;
use std::io::{self, Write as _};

const HELP: &str = "\
Usage: cargo xtask <command>

  demo  [args…]                start the trial: one process, its own git repo, demo machines
                               (args go to `banyan-engine dev`; try `demo --help`)
  test  [filter…] [-- args…]   build everything and run all tests, or those whose names contain a filter
                               (args go to the test runner)
  check                        formatting, the repository's rules, clippy, documentation
  bench [args…]                build in release mode and run the benchmark (args go to `banyan-bench`)

Programs that a command needs are installed with apt-get on Debian, as root or with passwordless sudo.
Elsewhere the command stops and prints what to install.
";

const COMMANDS: [&str; 5] = ["demo", "test", "check", "bench", "help"];

/// The parsed command line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Help,
    Demo(Vec<OsString>),
    Test {
        /// Parts of test names; none means all tests.
        filters: Vec<OsString>,
        /// Arguments of the test runner, as given after `--`.
        runner: Vec<OsString>,
    },
    Check,
    Bench(Vec<OsString>),
}

/// An invalid command line; exit code 2.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Misuse(String);

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Reads the arguments that follow `cargo xtask`.
pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Command, Misuse> {
    let mut args = args.into_iter();
    let Some(name) = args.next() else {
        return Ok(Command::Help);
    };
    let rest: Vec<OsString> = args.collect();
    match name.to_string_lossy().as_ref() {
        "help" | "--help" | "-h" => Ok(Command::Help),
        "demo" => Ok(Command::Demo(without_separator(rest))),
        "bench" => Ok(Command::Bench(without_separator(rest))),
        "test" => parse_test(&rest),
        "check" => parse_check(&rest),
        unknown => Err(Misuse(format!(
            "there is no command `{unknown}`; did you mean `cargo xtask {}`? `cargo xtask --help` lists all",
            nearest(unknown)
        ))),
    }
}

/// Prints the help text on stdout.
pub(crate) fn print_help() -> anyhow::Result<()> {
    Ok(io::stdout().write_all(HELP.as_bytes())?)
}

fn parse_test(rest: &[OsString]) -> Result<Command, Misuse> {
    let mut parts = rest.splitn(2, |arg| arg == "--");
    let filters = parts.next().unwrap_or_default();
    let runner = parts.next().unwrap_or_default();
    if filters.iter().any(|arg| arg == "--help" || arg == "-h") {
        return Ok(Command::Help);
    }
    match filters
        .iter()
        .find(|arg| arg.to_string_lossy().starts_with('-'))
    {
        Some(option) => {
            let option = option.to_string_lossy();
            Err(Misuse(format!(
                "`test` has no option `{option}`; options of the test runner follow `--`: cargo xtask test -- {option}"
            )))
        }
        None => Ok(Command::Test {
            filters: filters.to_vec(),
            runner: runner.to_vec(),
        }),
    }
}

fn parse_check(rest: &[OsString]) -> Result<Command, Misuse> {
    match rest.first() {
        None => Ok(Command::Check),
        Some(arg) if arg == "--help" || arg == "-h" => Ok(Command::Help),
        Some(arg) => Err(Misuse(format!(
            "`check` takes no arguments, but was given `{}`",
            arg.to_string_lossy()
        ))),
    }
}

fn without_separator(mut args: Vec<OsString>) -> Vec<OsString> {
    if args.first().is_some_and(|arg| arg == "--") {
        args.remove(0);
    }
    args
}

fn nearest(unknown: &str) -> &'static str {
    COMMANDS
        .into_iter()
        .min_by_key(|known| distance(unknown, known))
        .unwrap_or("help")
}

/// The edit distance: the fewest characters to insert, delete or replace to turn `from` into `to`.
fn distance(from: &str, to: &str) -> usize {
    let first: Vec<usize> = (0..=to.chars().count()).collect();
    let last = from.chars().enumerate().fold(first, |above, (line, ours)| {
        next_line(&above, line + 1, ours, to)
    });
    last.last().copied().unwrap_or_default()
}

fn next_line(above: &[usize], start: usize, ours: char, to: &str) -> Vec<usize> {
    let mut line = vec![start];
    let mut left = start;
    for (theirs, pair) in to.chars().zip(above.windows(2)) {
        let &[diagonal, up] = pair else { continue };
        left = (diagonal + usize::from(ours != theirs))
            .min(up + 1)
            .min(left + 1);
        line.push(left);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command, Misuse> {
        parse(line.split_whitespace().map(OsString::from))
    }

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn nothing_and_help_ask_for_help() {
        for line in ["", "help", "--help", "-h", "test --help", "check -h"] {
            assert_eq!(parsed(line), Ok(Command::Help), "{line}");
        }
    }

    #[test]
    fn demo_and_bench_hand_on_all_arguments() {
        assert_eq!(
            parsed("demo --help x"),
            Ok(Command::Demo(words("--help x")))
        );
        assert_eq!(
            parsed("demo -- --data d"),
            Ok(Command::Demo(words("--data d")))
        );
        assert_eq!(
            parsed("bench load -- x"),
            Ok(Command::Bench(words("load -- x")))
        );
    }

    #[test]
    fn test_parts_filters_from_runner_arguments() {
        let test = |filters, runner| {
            Ok(Command::Test {
                filters: words(filters),
                runner: words(runner),
            })
        };
        assert_eq!(parsed("test"), test("", ""));
        assert_eq!(parsed("test a b"), test("a b", ""));
        assert_eq!(
            parsed("test a -- --retries 2 -- c"),
            test("a", "--retries 2 -- c")
        );
    }

    #[test]
    fn misplaced_arguments_are_misuse() {
        let message = parsed("test --release").unwrap_err().to_string();
        assert!(
            message.contains("cargo xtask test -- --release"),
            "{message}"
        );
        assert!(parsed("check now").is_err());
    }

    #[test]
    fn an_unknown_command_names_the_nearest() {
        for (typed, meant) in [
            ("tset", "test"),
            ("chek", "check"),
            ("benchmark", "bench"),
            ("demos", "demo"),
            ("", "demo"),
        ] {
            assert_eq!(nearest(typed), meant, "{typed}");
        }
        let message = parsed("tests").unwrap_err().to_string();
        assert!(message.contains("`cargo xtask test`"), "{message}");
    }

    #[test]
    fn distance_counts_single_changes() {
        for (from, to, expected) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("kitten", "sitting", 3),
            ("é", "e", 1),
        ] {
            assert_eq!(distance(from, to), expected, "{from} {to}");
        }
    }
}
