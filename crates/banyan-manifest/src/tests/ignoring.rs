//! `.banyanignore`.

use super::{load, repo, shown};
use crate::ignore::Ignore;

fn excluded(patterns: &str, paths: &[&str]) -> Vec<String> {
    let ignore = Ignore::from_bytes(patterns.as_bytes());
    assert_eq!(ignore.findings(), []);
    let paths = paths.iter().filter(|path| ignore.excludes(path));
    paths.map(|path| (*path).to_owned()).collect()
}

const PATHS: &[&str] = &[
    "a.yaml",
    "x/a.yaml",
    "x/y/a.yaml",
    "x/b.yaml",
    "y/x/a.yaml",
    "xx/a.yaml",
];

#[test]
fn patterns_mean_what_they_mean_in_gitignore() {
    for (patterns, expected) in [
        ("", &[] as &[&str]),
        ("# a.yaml\n\n", &[]),
        (
            "a.yaml",
            &[
                "a.yaml",
                "x/a.yaml",
                "x/y/a.yaml",
                "y/x/a.yaml",
                "xx/a.yaml",
            ],
        ),
        ("/a.yaml", &["a.yaml"]),
        ("x/", &["x/a.yaml", "x/y/a.yaml", "x/b.yaml", "y/x/a.yaml"]),
        ("/x", &["x/a.yaml", "x/y/a.yaml", "x/b.yaml"]),
        ("x/a.yaml", &["x/a.yaml"]),
        ("a.yaml/", &[]),
        ("x/*.yaml", &["x/a.yaml", "x/b.yaml"]),
        ("x*/a.yaml", &["x/a.yaml", "xx/a.yaml"]),
        ("**/x/a.yaml", &["x/a.yaml", "y/x/a.yaml"]),
        ("x/**/a.yaml", &["x/a.yaml", "x/y/a.yaml"]),
        ("x/**", &["x/a.yaml", "x/y/a.yaml", "x/b.yaml"]),
        ("**", PATHS),
        (
            "*\n!/x/b.yaml",
            &[
                "a.yaml",
                "x/a.yaml",
                "x/y/a.yaml",
                "y/x/a.yaml",
                "xx/a.yaml",
            ],
        ),
        (
            "!a.yaml\nx/\n",
            &["x/a.yaml", "x/y/a.yaml", "x/b.yaml", "y/x/a.yaml"],
        ),
        ("x/\n!a.yaml\n", &["x/b.yaml"]),
        ("x*x/", &["xx/a.yaml"]),
        (
            "x\r\n",
            &["x/a.yaml", "x/y/a.yaml", "x/b.yaml", "y/x/a.yaml"],
        ),
    ] {
        assert_eq!(excluded(patterns, PATHS), expected, "{patterns:?}");
    }
}

#[test]
fn what_is_no_pattern_is_a_finding() {
    let repo = repo([
        (
            ".banyanignore",
            "docs/\n[ab].yaml\na//b\nx?\n/\na**b\n!\n../x\n",
        ),
        ("docs/x.yaml", "not: ours"),
    ]);
    insta::assert_snapshot!(shown(&repo, &load(&repo)), @r"
    error[bad-ignore]: `[ab].yaml` is not a valid pattern
     --> .banyanignore:2:1
      |
    2 | [ab].yaml
      | ^^^
      = help: a pattern may have `*`, `**` as a whole component, a leading `/` or `!` and a trailing `/`; `?`, `[`, `\` and empty components are not supported

    error[bad-ignore]: `a//b` is not a valid pattern
     --> .banyanignore:3:1
      |
    3 | a//b
      | ^^^^
      = help: a pattern may have `*`, `**` as a whole component, a leading `/` or `!` and a trailing `/`; `?`, `[`, `\` and empty components are not supported

    error[bad-ignore]: `x?` is not a valid pattern
     --> .banyanignore:4:1
      |
    4 | x?
      | ^^
      = help: a pattern may have `*`, `**` as a whole component, a leading `/` or `!` and a trailing `/`; `?`, `[`, `\` and empty components are not supported

    error[bad-ignore]: `/` is not a valid pattern
     --> .banyanignore:5:1
      |
    5 | /
      | ^
      = help: a pattern may have `*`, `**` as a whole component, a leading `/` or `!` and a trailing `/`; `?`, `[`, `\` and empty components are not supported

    error[bad-ignore]: `a**b` is not a valid pattern
     --> .banyanignore:6:1
      |
    6 | a**b
      | ^^^^
      = help: a pattern may have `*`, `**` as a whole component, a leading `/` or `!` and a trailing `/`; `?`, `[`, `\` and empty components are not supported

    error[bad-ignore]: `!` is not a valid pattern
     --> .banyanignore:7:1
      |
    7 | !
      | ^
      = help: a pattern may have `*`, `**` as a whole component, a leading `/` or `!` and a trailing `/`; `?`, `[`, `\` and empty components are not supported

    error[bad-ignore]: `../x` is not a valid pattern
     --> .banyanignore:8:1
      |
    8 | ../x
      | ^^^^
      = help: a pattern may have `*`, `**` as a whole component, a leading `/` or `!` and a trailing `/`; `?`, `[`, `\` and empty components are not supported

    0 files, 0 documents: 7 errors, 0 warnings
    ");
}

#[test]
fn too_much_of_it_is_a_finding() {
    let many = "a\n".repeat(crate::MAX_IGNORE_PATTERNS + 1);
    assert_eq!(
        Ignore::from_bytes(many.as_bytes()).findings()[0].rule,
        "too-large"
    );
    let long = "#".repeat(crate::MAX_IGNORE_BYTES + 1);
    assert_eq!(
        Ignore::from_bytes(long.as_bytes()).findings()[0].rule,
        "too-large"
    );
    assert_eq!(Ignore::from_bytes(b"\xff").findings()[0].rule, "not-utf8");
}
