//! The four outputs.

use std::sync::Arc;

use banyan_core::{Finding, Pos};

use crate::render::{Report, github, json, sarif, text};

fn findings() -> Vec<Finding> {
    let path: Arc<str> = "users/é a.yaml".into();
    vec![
        Finding::whole(&"".into(), "no-cluster", "there is no Cluster document").help("make one"),
        Finding::error(
            &path,
            Pos { line: 2, column: 4 },
            "bad-value",
            "100% wrong:\na, b",
        ),
        Finding::warning(
            &path,
            Pos {
                line: 12,
                column: 1,
            },
            "unused-role",
            "nobody has it",
        )
        .help("remove it"),
        Finding::whole(&path, "not-utf8", "not UTF-8"),
    ]
}

fn report(findings: &[Finding]) -> Report<'_> {
    Report {
        findings,
        files: 1,
        documents: 2,
        not_checked: 3,
    }
}

fn file(path: &str) -> Option<String> {
    (path == "users/é a.yaml").then(|| format!("one\n\tä 'b c', d\r\n{}twelve", "\n".repeat(9)))
}

#[test]
fn text_shows_the_line_and_marks_the_place() {
    insta::assert_snapshot!(text(&report(&findings()), &file, false), @r"
    error[no-cluster]: there is no Cluster document
     --> (repository)
      = help: make one

    error[bad-value]: 100% wrong:\na, b
     --> users/é a.yaml:2:4
      |
    2 | 	ä 'b c', d
      | 	  ^^^^^

    warning[unused-role]: nobody has it
      --> users/é a.yaml:12:1
       |
    12 | twelve
       | ^^^^^^
       = help: remove it

    error[not-utf8]: not UTF-8
     --> users/é a.yaml

    1 file, 2 documents: 3 errors, 1 warning; 3 sealed values not checked
    ");
}

#[test]
fn colour_only_decorates() {
    let findings = findings();
    let coloured = text(&report(&findings), &file, true);
    let mut bare = String::new();
    let mut rest = coloured.as_str();
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        bare.push_str(before);
        rest = after.split_once('m').unwrap().1;
    }
    bare.push_str(rest);
    assert_ne!(coloured, bare);
    let lines = |text: &str| {
        text.lines()
            .map(|l| l.trim_end().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(lines(&bare), lines(&text(&report(&findings), &file, false)));
}

#[test]
fn a_long_line_is_shown_around_the_place() {
    let path: Arc<str> = "a.yaml".into();
    let findings = [Finding::error(
        &path,
        Pos {
            line: 1,
            column: 5_001,
        },
        "bad-value",
        "here",
    )];
    let line = format!("{}X{}", "a".repeat(5_000), " b".repeat(5_000));
    let shown = text(&report(&findings), &|_| Some(line.clone()), false);
    assert!(
        shown.lines().all(|line| line.chars().count() < 140),
        "{shown}"
    );
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines[3].find('X'), lines[4].find('^'), "{shown}");
}

#[test]
fn github_annotations_are_escaped() {
    insta::assert_snapshot!(github(&report(&findings()), "repo/"), @"
    ::error title=no-cluster::there is no Cluster document%0Amake one
    ::error file=repo/users/é a.yaml,line=2,col=4,title=bad-value::100%25 wrong:%0Aa, b
    ::warning file=repo/users/é a.yaml,line=12,col=1,title=unused-role::nobody has it%0Aremove it
    ::error file=repo/users/é a.yaml,title=not-utf8::not UTF-8
    ");
}

#[test]
fn json_is_one_object() {
    insta::assert_snapshot!(json(&report(&findings()[1..2])), @r#"
    {
      "findings": [
        {
          "column": 4,
          "help": null,
          "line": 2,
          "message": "100% wrong:\na, b",
          "path": "users/é a.yaml",
          "rule": "bad-value",
          "severity": "error"
        }
      ],
      "summary": {
        "documents": 2,
        "errors": 1,
        "files": 1,
        "notChecked": 3,
        "warnings": 0
      }
    }
    "#);
}

#[test]
fn sarif_names_rules_levels_and_places() {
    insta::assert_snapshot!(sarif(&report(&findings()), "0.1.0", "repo/"), @r#"
    {
      "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
      "runs": [
        {
          "columnKind": "unicodeCodePoints",
          "results": [
            {
              "level": "error",
              "message": {
                "text": "there is no Cluster document\nmake one"
              },
              "ruleId": "no-cluster"
            },
            {
              "level": "error",
              "locations": [
                {
                  "physicalLocation": {
                    "artifactLocation": {
                      "uri": "repo/users/%C3%A9%20a.yaml"
                    },
                    "region": {
                      "startColumn": 4,
                      "startLine": 2
                    }
                  }
                }
              ],
              "message": {
                "text": "100% wrong:\na, b"
              },
              "ruleId": "bad-value"
            },
            {
              "level": "warning",
              "locations": [
                {
                  "physicalLocation": {
                    "artifactLocation": {
                      "uri": "repo/users/%C3%A9%20a.yaml"
                    },
                    "region": {
                      "startColumn": 1,
                      "startLine": 12
                    }
                  }
                }
              ],
              "message": {
                "text": "nobody has it\nremove it"
              },
              "ruleId": "unused-role"
            },
            {
              "level": "error",
              "locations": [
                {
                  "physicalLocation": {
                    "artifactLocation": {
                      "uri": "repo/users/%C3%A9%20a.yaml"
                    }
                  }
                }
              ],
              "message": {
                "text": "not UTF-8"
              },
              "ruleId": "not-utf8"
            }
          ],
          "tool": {
            "driver": {
              "name": "banyan",
              "rules": [
                {
                  "id": "bad-value"
                },
                {
                  "id": "no-cluster"
                },
                {
                  "id": "not-utf8"
                },
                {
                  "id": "unused-role"
                }
              ],
              "version": "0.1.0"
            }
          }
        }
      ],
      "version": "2.1.0"
    }
    "#);
}
