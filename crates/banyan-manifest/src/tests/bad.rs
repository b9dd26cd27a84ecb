//! Documents with faults, and what is said about each.

use super::say;

#[test]
fn a_misspelt_field_is_named_with_the_nearest_one() {
    insta::assert_snapshot!(say(
"apiVersion: banyan/v1
kind: User
metadata:
  name: alice
  lables: {team: infra}
spec:
  role: [admin]
  password_hash: {}
  zzz: 1
"), @"
    error[unknown-field]: unknown field `lables`
     --> a.yaml:5:3
      |
    5 |   lables: {team: infra}
      |   ^^^^^^
      = help: did you mean `labels`?

    error[missing-field]: `roles` is missing
     --> a.yaml:7:3
      |
    7 |   role: [admin]
      |   ^^^^
      = help: Names of roles.

    error[unknown-field]: unknown field `role`
     --> a.yaml:7:3
      |
    7 |   role: [admin]
      |   ^^^^
      = help: did you mean `roles`?

    error[unknown-field]: unknown field `password_hash`
     --> a.yaml:8:3
      |
    8 |   password_hash: {}
      |   ^^^^^^^^^^^^^
      = help: did you mean `passwordHash`?

    error[unknown-field]: unknown field `zzz`
     --> a.yaml:9:3
      |
    9 |   zzz: 1
      |   ^^^
      = help: valid fields: roles, email, disabled, expires, passwordHash

    1 file, 0 documents: 5 errors, 0 warnings
    ");
}

#[test]
fn every_wrong_type_is_found_in_one_run() {
    insta::assert_snapshot!(say(
"apiVersion: banyan/v1
kind: Machine
metadata:
  name: 123
  labels: [a]
spec:
  type: {a: b}
  publicKey: AAAA
  endpoint:
  meshAddress: true
  routes: 10.0.0.0/8
  expires: ~
  protected: no
"), @r#"
    error[wrong-type]: `name` must be a string, not a number
     --> a.yaml:4:9
      |
    4 |   name: 123
      |         ^^^
      = help: put it in quotes: "123"

    error[wrong-type]: `labels` must be a mapping, not a list
     --> a.yaml:5:11
      |
    5 |   labels: [a]
      |           ^^
      = help: see `banyan schema` for the type of each field

    error[wrong-type]: `type` must be a string, not a mapping
     --> a.yaml:7:9
      |
    7 |   type: {a: b}
      |         ^^
      = help: see `banyan schema` for the type of each field

    error[wrong-type]: `publicKey` must be a mapping `sealed: …` or `plain: …`, not a string
     --> a.yaml:8:14
      |
    8 |   publicKey: AAAA
      |              ^^^^
      = help: see `banyan schema` for the type of each field

    error[wrong-type]: `endpoint` must be a string, not null
     --> a.yaml:9:11
      |
    9 |   endpoint:
      |           ^
      = help: give it a value, or remove the line

    error[wrong-type]: `meshAddress` must be a string, not a boolean
      --> a.yaml:10:16
       |
    10 |   meshAddress: true
       |                ^^^^
       = help: put it in quotes: "true"

    error[wrong-type]: `routes` must be a list, not a string
      --> a.yaml:11:11
       |
    11 |   routes: 10.0.0.0/8
       |           ^^^^^^^^^^
       = help: write `routes: [a, b]`, or one `- …` per line

    error[wrong-type]: `expires` must be a string, not null
      --> a.yaml:12:12
       |
    12 |   expires: ~
       |            ^
       = help: give it a value, or remove the line

    error[wrong-type]: `protected` must be `true` or `false`, not `no`
      --> a.yaml:13:14
       |
    13 |   protected: no
       |              ^^
       = help: write true or false, without quotes; `yes`, `no`, `on` and `off` are strings

    1 file, 0 documents: 9 errors, 0 warnings
    "#);
}

#[test]
fn every_bad_value_is_found_in_one_run() {
    insta::assert_snapshot!(say(
"apiVersion: banyan/v1
kind: Machine
metadata: {name: Worker_1}
spec:
  type: server
  publicKey: {plain: AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=}
  endpoint: example.org
  meshAddress: 10.201.0.300
  routes: [10.0.0.1/8, 0.0.0.0/0, 'fd00::/8', nowhere]
  expires: 2030-01-01
"), @"
    error[bad-name]: `name` cannot be `Worker_1`: 'W' is not allowed in a name: use a-z, 0-9 and '-'
     --> a.yaml:3:18
      |
    3 | metadata: {name: Worker_1}
      |                  ^^^^^^^^
      = help: a name is an RFC 1123 label, for example web-1

    error[bad-value]: `type` cannot be `server`: a machine's type must be `agent` or `cli`
     --> a.yaml:5:9
      |
    5 |   type: server
      |         ^^^^^^
      = help: write `agent` for a node, `cli` for a user's computer

    error[bad-key]: `plain` is unusable: the key is all zero
     --> a.yaml:6:22
      |
    6 |   publicKey: {plain: AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=}
      |                      ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      = help: use the line that `wg pubkey` prints

    error[bad-value]: `endpoint` cannot be `example.org`: an endpoint is `host:port`, for example vpn.example.org:51820, 192.0.2.7:51820 or [2001:db8::7]:51820
     --> a.yaml:7:13
      |
    7 |   endpoint: example.org
      |             ^^^^^^^^^^^
      = help: for example vpn.example.org:51820

    error[bad-value]: `meshAddress` cannot be `10.201.0.300`: a mesh address must be an IPv4 address
     --> a.yaml:8:16
      |
    8 |   meshAddress: 10.201.0.300
      |                ^^^^^^^^^^^^
      = help: for example 10.201.0.10

    error[bad-value]: `routes` cannot be `10.0.0.1/8`: host bits are set; the network is 10.0.0.0/8
     --> a.yaml:9:12
      |
    9 |   routes: [10.0.0.1/8, 0.0.0.0/0, 'fd00::/8', nowhere]
      |            ^^^^^^^^^^
      = help: for example 192.168.10.0/24 or fd00:10::/64

    error[bad-value]: `routes` cannot be `0.0.0.0/0`: a machine cannot have a default route behind it
     --> a.yaml:9:24
      |
    9 |   routes: [10.0.0.1/8, 0.0.0.0/0, 'fd00::/8', nowhere]
      |                        ^^^^^^^^^
      = help: for example 192.168.10.0/24 or fd00:10::/64

    error[bad-value]: `routes` cannot be `nowhere`: a route must be a network with a prefix length
     --> a.yaml:9:47
      |
    9 |   routes: [10.0.0.1/8, 0.0.0.0/0, 'fd00::/8', nowhere]
      |                                               ^^^^^^^
      = help: for example 192.168.10.0/24 or fd00:10::/64

    error[bad-value]: `expires` cannot be `2030-01-01`: a time must be in RFC 3339 format: date, T, time to the second, Z or an offset
      --> a.yaml:10:12
       |
    10 |   expires: 2030-01-01
       |            ^^^^^^^^^^
       = help: for example 2030-12-31T23:59:59Z

    1 file, 0 documents: 9 errors, 0 warnings
    ");
}

#[test]
fn a_cluster_with_bad_values_says_so() {
    insta::assert_snapshot!(say(
"apiVersion: banyan/v1
kind: Cluster
metadata: {name: demo}
spec:
  controlRange: 10.200.0.1/16
  meshRange: 10.0.0.0/7
  recipients:
    - age1qqqqqq
    - ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQ root@host
    - age1yubikey1qwertyuiopasdfghjkl
    - AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX
  guards: {maxRemovedPercent: 101, maxRemoved: -1, maxRemovd: 5}
  requireSealed: 'true'
"), @"
    error[bad-value]: `controlRange` cannot be `10.200.0.1/16`: host bits are set; the network is 10.200.0.0/16
     --> a.yaml:5:17
      |
    5 |   controlRange: 10.200.0.1/16
      |                 ^^^^^^^^^^^^^
      = help: for example 10.200.0.0/16

    error[bad-value]: `meshRange` cannot be `10.0.0.0/7`: a range must be from /8 (largest) to /24 (smallest)
     --> a.yaml:6:14
      |
    6 |   meshRange: 10.0.0.0/7
      |              ^^^^^^^^^^
      = help: for example 10.200.0.0/16

    error[bad-value]: `recipients` cannot be `age1qqqqqq`: not a valid age1… recipient (wrong checksum)
     --> a.yaml:8:7
      |
    8 |     - age1qqqqqq
      |       ^^^^^^^^^^
      = help: use the public key that `age-keygen` prints, or an ssh-ed25519 `.pub` file

    error[bad-value]: `recipients` cannot be `ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQ root@host`: SSH keys of type ssh-rsa are not supported; only ssh-ed25519 is
     --> a.yaml:9:7
      |
    9 |     - ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQ root@host
      |       ^^^^^^^
      = help: use the public key that `age-keygen` prints, or an ssh-ed25519 `.pub` file

    error[bad-value]: `recipients` cannot be `age1yubikey1qwertyuiopasdfghjkl`: recipients of age plugins and post-quantum ones are not supported, only age1… (X25519)
      --> a.yaml:10:7
       |
    10 |     - age1yubikey1qwertyuiopasdfghjkl
       |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       = help: use the public key that `age-keygen` prints, or an ssh-ed25519 `.pub` file

    error[secret-exposed]: `recipients` is unusable: this is a SECRET key; replace it everywhere, and use its public key (age1…) here
      --> a.yaml:11:7
       = help: use the public key that `age-keygen` prints, or an ssh-ed25519 `.pub` file

    error[bad-value]: `maxRemovedPercent` must be a whole number from 0 to 100
      --> a.yaml:12:31
       |
    12 |   guards: {maxRemovedPercent: 101, maxRemoved: -1, maxRemovd: 5}
       |                               ^^^
       = help: write plain digits, without quotes

    error[bad-value]: `maxRemoved` must be a whole number from 0 to 4294967295
      --> a.yaml:12:48
       |
    12 |   guards: {maxRemovedPercent: 101, maxRemoved: -1, maxRemovd: 5}
       |                                                ^^
       = help: write plain digits, without quotes

    error[unknown-field]: unknown field `maxRemovd`
      --> a.yaml:12:52
       |
    12 |   guards: {maxRemovedPercent: 101, maxRemoved: -1, maxRemovd: 5}
       |                                                    ^^^^^^^^^
       = help: did you mean `maxRemoved`?

    error[wrong-type]: `requireSealed` must be `true` or `false`, not a quoted string
      --> a.yaml:13:18
       |
    13 |   requireSealed: 'true'
       |                  ^^^^^^
       = help: write true or false, without quotes; `yes`, `no`, `on` and `off` are strings

    1 file, 0 documents: 10 errors, 0 warnings
    ");
}

#[test]
fn no_recipient_at_all_is_refused() {
    insta::assert_snapshot!(say(
"apiVersion: banyan/v1
kind: Cluster
metadata: {name: demo}
spec: {recipients: []}
"), @"
    error[bad-value]: `recipients` must not be empty
     --> a.yaml:4:20
      |
    4 | spec: {recipients: []}
      |                    ^
      = help: use the public key that `age-keygen` prints, or an ssh-ed25519 `.pub` file

    1 file, 0 documents: 1 error, 0 warnings
    ");
}

#[test]
fn a_user_and_a_role_with_bad_values_say_so() {
    insta::assert_snapshot!(say(
"apiVersion: banyan/v1
kind: User
metadata:
  name: no
  labels: {team: 7, 'a b': c, ok: \"two\\nlines\"}
spec:
  roles: [admin, Admin, 1, [x], ~]
  email: alice example.org
  disabled: off
  expires: 2030-02-30T00:00:00Z
  passwordHash: {plain: $2b$12$abc}
---
apiVersion: banyan/v1
kind: Role
metadata: {name: ops}
spec:
  permissions: [users, '*:*', deployments:read]
"), @r#"
    error[wrong-type]: `team` must be a string, not a number
     --> a.yaml:5:18
      |
    5 |   labels: {team: 7, 'a b': c, ok: "two\nlines"}
      |                  ^
      = help: put it in quotes: "7"

    error[bad-value]: `a b` cannot be a label
     --> a.yaml:5:21
      |
    5 |   labels: {team: 7, 'a b': c, ok: "two\nlines"}
      |                     ^^^^^
      = help: a label has 1 to 63 of a-z, A-Z, 0-9, '-', '_', '.' and '/'

    error[bad-value]: the value of the label `ok` is too long or has control characters
     --> a.yaml:5:35
      |
    5 |   labels: {team: 7, 'a b': c, ok: "two\nlines"}
      |                                   ^^^^^^^^^^^^
      = help: a label's value has at most 63 characters on one line

    error[bad-name]: `roles` cannot be `Admin`: 'A' is not allowed in a name: use a-z, 0-9 and '-'
     --> a.yaml:7:18
      |
    7 |   roles: [admin, Admin, 1, [x], ~]
      |                  ^^^^^
      = help: a name is an RFC 1123 label, for example web-1

    error[wrong-type]: `roles` must be a string, not a number
     --> a.yaml:7:25
      |
    7 |   roles: [admin, Admin, 1, [x], ~]
      |                         ^
      = help: put it in quotes: "1"

    error[wrong-type]: `roles` must be a list of strings, but this item is a list
     --> a.yaml:7:28
      |
    7 |   roles: [admin, Admin, 1, [x], ~]
      |                            ^^
      = help: a name is an RFC 1123 label, for example web-1

    error[wrong-type]: `roles` must be a string, not null
     --> a.yaml:7:33
      |
    7 |   roles: [admin, Admin, 1, [x], ~]
      |                                 ^
      = help: give it a value, or remove the line

    error[bad-value]: `email` cannot be `alice example.org`: an email address has the form `user@host`, without spaces, at most 254 bytes
     --> a.yaml:8:10
      |
    8 |   email: alice example.org
      |          ^^^^^
      = help: for example alice@example.org

    error[wrong-type]: `disabled` must be `true` or `false`, not `off`
     --> a.yaml:9:13
      |
    9 |   disabled: off
      |             ^^^
      = help: write true or false, without quotes; `yes`, `no`, `on` and `off` are strings

    error[bad-value]: `expires` cannot be `2030-02-30T00:00:00Z`: this date or time does not exist
      --> a.yaml:10:12
       |
    10 |   expires: 2030-02-30T00:00:00Z
       |            ^^^^^^^^^^^^^^^^^^^^
       = help: for example 2030-12-31T23:59:59Z

    error[not-sealed]: `passwordHash` must be sealed
      --> a.yaml:11:18
       |
    11 |   passwordHash: {plain…
       |                  ^^^^^
       = help: seal it with `banyan seal`

    error[bad-value]: `permissions` cannot be `users`: a permission is `resource:action`, `resource:*` or `*`
      --> a.yaml:17:17
       |
    17 |   permissions: [users, '*:*', deployments:read]
       |                 ^^^^^
       = help: for example deployments:read; `banyan role permissions` lists the engine's own

    error[bad-value]: `permissions` cannot be `*:*`: a permission is `resource:action`, `resource:*` or `*`
      --> a.yaml:17:24
       |
    17 |   permissions: [users, '*:*', deployments:read]
       |                        ^^^^^
       = help: for example deployments:read; `banyan role permissions` lists the engine's own

    1 file, 0 documents: 13 errors, 0 warnings
    "#);
}

#[test]
fn what_is_missing_is_named_with_what_it_is() {
    insta::assert_snapshot!(say("kind: Machine\nspec: {publicKey: {}}\n"), @"
    error[missing-field]: `apiVersion` is missing
     --> a.yaml:1:1
      |
    1 | kind: Machine
      | ^^^^
      = help: The version of the format: banyan/v1.

    error[missing-field]: `metadata` is missing
     --> a.yaml:1:1
      |
    1 | kind: Machine
      | ^^^^
      = help: Name and labels.

    error[missing-field]: `type` is missing
     --> a.yaml:2:7
      |
    2 | spec: {publicKey: {}}
      |       ^^^^^^^^^^
      = help: Type of machine: agent or cli.

    error[missing-field]: `publicKey` needs exactly one of `sealed` and `plain`
     --> a.yaml:2:19
      |
    2 | spec: {publicKey: {}}
      |                   ^
      = help: Its WireGuard public key.

    1 file, 0 documents: 4 errors, 0 warnings
    ");
}

#[test]
fn both_forms_of_a_key_are_one_too_many() {
    insta::assert_snapshot!(say(
"apiVersion: banyan/v1
kind: Machine
metadata: {name: a}
spec:
  type: agent
  publicKey: {plain: y/xUY4hUb/bH2i5OVLMPtS3fdGcKQ3eaKTkBVqZqZEc=, sealed: hello, seled: x}
"), @"
    error[missing-field]: `publicKey` needs exactly one of `sealed` and `plain`
     --> a.yaml:6:14
      |
    6 |   publicKey: {plain: y/xUY4hUb/bH2i5OVLMPtS3fdGcKQ3eaKTkBVqZqZEc=, sealed: hello, seled: x}
      |              ^^^^^^
      = help: Its WireGuard public key.

    error[cannot-unseal]: `sealed` is unusable: not an armored age file, which starts with `-----BEGIN AGE ENCRYPTED FILE-----`
     --> a.yaml:6:76
      |
    6 |   publicKey: {plain: y/xUY4hUb/bH2i5OVLMPtS3fdGcKQ3eaKTkBVqZqZEc=, sealed: hello, seled: x}
      |                                                                            ^^^^^
      = help: create one with `banyan seal`

    error[unknown-field]: unknown field `seled`
     --> a.yaml:6:83
      |
    6 |   publicKey: {plain: y/xUY4hUb/bH2i5OVLMPtS3fdGcKQ3eaKTkBVqZqZEc=, sealed: hello, seled: x}
      |                                                                                   ^^^^^
      = help: did you mean `sealed`?

    1 file, 0 documents: 3 errors, 0 warnings
    ");
}

#[test]
fn kinds_and_versions_are_judged_before_fields() {
    insta::assert_snapshot!(say(
"apiVersion: banyan/v1
kind: user
metadata: {name: a}
spec: {anything: goes}
---
apiVersion: banyan/v1
kind: Policy
metadata: {name: a}
spec: {}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: a, namespace: b}
---
apiVersion: banyan/v1
kind: [User]
metadata: {name: a}
spec: {}
---
just text
--- [1, 2]
"), @"
    error[unknown-kind]: unknown kind `user`
     --> a.yaml:2:7
      |
    2 | kind: user
      |       ^^^^
      = help: did you mean `User`?

    error[unknown-kind]: kind `Policy` is not supported yet
     --> a.yaml:7:7
      |
    7 | kind: Policy
      |       ^^^^^^
      = help: remove the document

    error[bad-version]: apiVersion must be banyan/v1, not `apps/v1`
      --> a.yaml:11:13
       |
    11 | apiVersion: apps/v1
       |             ^^^^^^^
       = help: exclude other YAML files in `.banyanignore`

    error[wrong-type]: `kind` must be a string, not a list
      --> a.yaml:16:7
       |
    16 | kind: [User]
       |       ^^^^^
       = help: see `banyan schema` for the type of each field

    error[wrong-type]: a document must be a mapping, not a string
      --> a.yaml:20:1
       |
    20 | just text
       | ^^^^
       = help: a document starts with `apiVersion: banyan/v1`; exclude other YAML files in `.banyanignore`

    error[wrong-type]: a document must be a mapping, not a list
      --> a.yaml:21:5
       |
    21 | --- [1, 2]
       |     ^^
       = help: a document starts with `apiVersion: banyan/v1`; exclude other YAML files in `.banyanignore`

    1 file, 0 documents: 6 errors, 0 warnings
    ");
}
