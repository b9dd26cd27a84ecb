//! YAML that is broken or that Banyan does not take, and what is said about it.

use super::say;

#[test]
fn duplicate_keys_are_errors_at_every_depth() {
    insta::assert_snapshot!(say(
"apiVersion: banyan/v1
kind: User
metadata: {name: a, name: b}
spec:
  roles: []
  email: a@example.org
  email: b@example.org
  \"email\": c@example.org
"), @r#"
    error[duplicate-key]: duplicate key `name`; first in line 3
     --> a.yaml:3:21
      |
    3 | metadata: {name: a, name: b}
      |                     ^^^^
      = help: keep one of them

    error[duplicate-key]: duplicate key `email`; first in line 6
     --> a.yaml:7:3
      |
    7 |   email: b@example.org
      |   ^^^^^
      = help: keep one of them

    error[duplicate-key]: duplicate key `email`; first in line 6
     --> a.yaml:8:3
      |
    8 |   "email": c@example.org
      |   ^^^^^^^
      = help: keep one of them

    1 file, 0 documents: 3 errors, 0 warnings
    "#);
}

#[test]
fn anchors_aliases_and_tags_are_refused_and_an_alias_bomb_with_them() {
    insta::assert_snapshot!(say(
"apiVersion: banyan/v1
kind: User
metadata: {name: &n a}
spec:
  roles: &l [*n, *nowhere]
  email: !!str a@example.org
  ? [x]
  : y
  <<: *l
"), @"
    error[yaml-alias]: anchors are not supported
     --> a.yaml:3:18
      |
    3 | metadata: {name: &n a}
      |                  ^^
      = help: repeat the value where it is needed

    error[yaml-alias]: anchors are not supported
     --> a.yaml:5:10
      |
    5 |   roles: &l [*n, *nowhere]
      |          ^^
      = help: repeat the value where it is needed

    error[yaml-alias]: aliases are not supported
     --> a.yaml:5:14
      |
    5 |   roles: &l [*n, *nowhere]
      |              ^^
      = help: repeat the value where it is needed

    error[yaml-alias]: aliases are not supported
     --> a.yaml:5:18
      |
    5 |   roles: &l [*n, *nowhere]
      |                  ^^^^^^^^
      = help: repeat the value where it is needed

    error[yaml-tag]: the tag `!!str` is not supported
     --> a.yaml:6:10
      |
    6 |   email: !!str a@example.org
      |          ^^^^^
      = help: remove it; quote the value to make it a string

    error[wrong-type]: a key must be a string
     --> a.yaml:7:5
      |
    7 |   ? [x]
      |     ^^
      = help: quote a value that contains braces

    error[unknown-field]: unknown field `<<`
     --> a.yaml:9:3
      |
    9 |   <<: *l
      |   ^^
      = help: valid fields: roles, email, disabled, expires, passwordHash

    error[yaml-alias]: aliases are not supported
     --> a.yaml:9:7
      |
    9 |   <<: *l
      |       ^^
      = help: repeat the value where it is needed

    1 file, 0 documents: 8 errors, 0 warnings
    ");
    let mut bomb = String::from("a0: &a0 [x]\n");
    for n in 1..60 {
        let aliases = vec![format!("*a{}", n - 1); 9].join(", ");
        bomb.push_str(&format!("a{n}: &a{n} [{aliases}]\n"));
    }
    assert!(say(&bomb).contains("more findings in this file are not shown"));
}

#[test]
fn broken_yaml_does_not_hide_the_documents_around_it() {
    insta::assert_snapshot!(say(
"apiVersion: banyan/v1
kind: Role
metadata: {name: first}
spec: {permissions: []}
---
apiVersion: banyan/v1
kind: [Role
metadata: {name: broken}
---
apiVersion: banyan/v1
kind: Role
metadata: {name: third}
spec: {permissions: [], extra: 1}
"), @"
    error[yaml]: invalid YAML: illegal placement of ':' indicator
     --> a.yaml:8:9
      |
    8 | metadata: {name: broken}
      |         ^
      = help: check this line and the one before it: indentation, quotes, brackets and tabs are the usual causes

    error[unknown-field]: unknown field `extra`
      --> a.yaml:13:25
       |
    13 | spec: {permissions: [], extra: 1}
       |                         ^^^^^
       = help: valid fields: permissions

    1 file, 1 document: 2 errors, 0 warnings
    ");
}

#[test]
fn tabs_and_bad_indentation_are_placed() {
    insta::assert_snapshot!(say("apiVersion: banyan/v1\nkind: Role\nspec:\n\tpermissions: []\n"), @"
    error[yaml]: invalid YAML: tabs disallowed within this context (block indentation)
     --> a.yaml:4:2
      |
    4 | 	permissions: []
      | 	^^^^^^^^^^^
      = help: check this line and the one before it: indentation, quotes, brackets and tabs are the usual causes

    1 file, 0 documents: 1 error, 0 warnings
    ");
}

#[test]
fn control_characters_of_a_file_do_not_reach_the_terminal() {
    let said = say("apiVersion: banyan/v1\nkind: \"\\e[31mRed\"\n\"a\\u202eb\": 1\n");
    assert!(
        !said.contains('\u{1b}') && !said.contains('\u{202e}'),
        "{said}"
    );
    assert!(said.contains("\\u{1b}[31mRed"), "{said}");
}

#[test]
fn the_versions_of_yaml_that_mean_the_same_are_accepted_and_other_directives_are_not() {
    let role = "apiVersion: banyan/v1\nkind: Role\nmetadata: {name: r}\nspec: {permissions: []}\n";
    for sound in [
        format!("%YAML 1.2\n---\n{role}"),
        format!("%YAML 1.1 # as older tools write it\n---\n{role}...\n%YAML 1.2\n---\n{role}"),
        format!("# first\n\n%YAML   1.2\n---\n{role}"),
    ] {
        assert!(!say(&sound).contains("error["), "{}", say(&sound));
    }
    insta::assert_snapshot!(say(&format!("%TAG ! tag:x,2000:\n---\n{role}...\n%YAML 1.3\n%ODD a b\n---\n{role}")), @"
    error[yaml-directive]: the directive `%TAG ! tag:x,2000:` is not supported
     --> a.yaml:1:1
      |
    1 | %TAG ! tag:x,2000:
      | ^^^^
      = help: remove it; only `%YAML 1.1` and `%YAML 1.2` are accepted

    error[yaml-directive]: the directive `%YAML 1.3` is not supported
     --> a.yaml:8:1
      |
    8 | %YAML 1.3
      | ^^^^^
      = help: remove it; only `%YAML 1.1` and `%YAML 1.2` are accepted

    error[yaml-directive]: the directive `%ODD a b` is not supported
     --> a.yaml:9:1
      |
    9 | %ODD a b
      | ^^^^
      = help: remove it; only `%YAML 1.1` and `%YAML 1.2` are accepted

    1 file, 0 documents: 3 errors, 0 warnings
    ");
    // A document's own text may look like a directive.
    let text = "apiVersion: banyan/v1\nkind: Role\nmetadata:\n  name: r\n  labels: {a: '\n%ODD'}\nspec: {permissions: []}\n";
    assert!(!say(text).contains("yaml-directive"), "{}", say(text));
}
