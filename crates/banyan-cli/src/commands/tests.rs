//! Every page of help, and the examples on it.

use clap::{CommandFactory as _, Parser as _};

use super::{Cli, GLOBALS, program};
use crate::args::ColorWhen;

/// Every command with its path, the program itself first.
fn pages() -> Vec<(String, clap::Command)> {
    fn walk(command: &clap::Command, path: &str, pages: &mut Vec<(String, clap::Command)>) {
        pages.push((path.to_owned(), command.clone()));
        for inner in command.get_subcommands() {
            walk(inner, &format!("{path} {}", inner.get_name()), pages);
        }
    }
    let mut program = program();
    program.build();
    let mut pages = Vec::new();
    walk(&program, "banyan", &mut pages);
    pages
}

fn help(mut command: clap::Command) -> String {
    command.render_long_help().to_string()
}

/// The lines of shell below `Example:`.
fn examples(help: &str) -> Vec<String> {
    let after = help.split_once("\nExample");
    let after = after.map(|(_, after)| after).unwrap_or_default();
    let lines = after.lines().skip(1).take_while(|line| !line.is_empty());
    lines.map(|line| line.trim().to_owned()).collect()
}

/// The words of the one command in a line of shell that is ours.
fn words(line: &str) -> Vec<String> {
    let mut commands = vec![vec![String::new()]];
    let mut quoted = false;
    for c in line.chars() {
        let words = commands.last_mut().unwrap();
        match (c, quoted) {
            ('"', _) => quoted = !quoted,
            (' ', false) => words.push(String::new()),
            ('|', false) => commands.push(vec![String::new()]),
            ('>' | '<', false) => words.push("\0".to_owned()),
            _ => words.last_mut().unwrap().push(c),
        }
    }
    let ours = commands.into_iter().map(|words| {
        let kept = words.into_iter().take_while(|word| word != "\0");
        kept.filter(|word| !word.is_empty()).collect::<Vec<_>>()
    });
    ours.into_iter()
        .find(|words| words.first().is_some_and(|word| word == "banyan"))
        .unwrap_or_default()
}

#[test]
fn every_page_of_help_has_examples_of_its_command_that_the_parser_takes() {
    for (path, command) in pages() {
        let help = help(command);
        let examples = examples(&help);
        assert!(!examples.is_empty(), "no example:\n{help}");
        for example in examples {
            assert!(example.contains(&path), "{path}: {example}");
            let parsed = Cli::try_parse_from(words(&example));
            assert!(parsed.is_ok(), "{example}: {}", parsed.unwrap_err());
        }
    }
}

#[test]
fn global_options_stand_on_the_first_page_and_the_others_say_so() {
    let mut pages = pages().into_iter();
    let (_, first) = pages.next().unwrap();
    let first = help(first);
    let program = Cli::command();
    let globals: Vec<&str> = program
        .get_arguments()
        .filter(|arg| arg.is_global_set())
        .filter_map(|arg| arg.get_long())
        .collect();
    assert_eq!(globals.len(), 5, "{globals:?}");
    for option in &globals {
        assert!(first.contains(&format!("--{option}")), "{first}");
    }
    assert!(first.contains("Global options:"), "{first}");
    for (path, command) in pages {
        let help = help(command);
        assert!(help.trim_end().ends_with(GLOBALS), "{path}: {help}");
        let options = help.split("\nExample").next().unwrap_or_default();
        for option in &globals {
            assert!(!options.contains(&format!("--{option} ")), "{path}: {help}");
        }
    }
}

#[test]
fn global_options_are_taken_before_and_after_every_command() {
    for (path, command) in pages() {
        let help = help(command);
        let example = words(examples(&help).first().unwrap());
        let option = ["--color", "never"].map(str::to_owned);
        let after = [&example[..], &option].concat();
        let before = [&example[..1], &option, &example[1..]].concat();
        for line in [before, after] {
            let matches = program().try_get_matches_from(&line);
            let matches = matches.unwrap_or_else(|error| panic!("{path}: {line:?}: {error}"));
            let cli = <Cli as clap::FromArgMatches>::from_arg_matches(&matches).unwrap();
            assert_eq!(cli.globals.color, ColorWhen::Never, "{line:?}");
        }
    }
}

#[test]
fn words_are_split_as_a_shell_does() {
    assert_eq!(
        words("wg pubkey < k | banyan seal --name a"),
        ["banyan", "seal", "--name", "a"]
    );
    assert_eq!(words("banyan lock \"a b\" > f"), ["banyan", "lock", "a b"]);
}
