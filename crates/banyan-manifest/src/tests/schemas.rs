//! The decoder and the JSON Schemas go by the same table; here both judge the same documents.

use banyan_core::Kind;
use serde_json::{Map, Value, json};

use super::{KEY, load, repo, sealed, secret};
use crate::form::Form;
use crate::table::{DOCUMENT, Field, METADATA, Shape, spec};
use crate::{PASSWORD_HASH, PUBLIC_KEY, any_schema, schema};

/// JSON is YAML, so the same text goes to both.
fn decodes(document: &Value) -> Result<(), String> {
    let loaded = load(&repo([("a.yaml", &document.to_string())]));
    let said: Vec<String> = loaded.findings.iter().map(ToString::to_string).collect();
    if said.is_empty() {
        Ok(())
    } else {
        Err(said.join("; "))
    }
}

fn good_text(form: Form, kind: Kind) -> Value {
    json!(match form {
        Form::Version => "banyan/v1".to_owned(),
        Form::Kind => kind.in_document().to_owned(),
        Form::Name => "web-1".to_owned(),
        Form::Email => "a@example.org".to_owned(),
        Form::Time => "2030-01-01T00:00:00.5+02:00".to_owned(),
        Form::Permission => "users:read".to_owned(),
        Form::Recipient => secret().1.to_string(),
        Form::Range => "10.20.0.0/16".to_owned(),
        Form::Route => "fd00::/64".to_owned(),
        Form::Address => "10.201.0.5".to_owned(),
        Form::Endpoint => "[2001:db8::1]:51820".to_owned(),
        Form::MachineType => "cli".to_owned(),
        Form::Key => KEY.to_owned(),
        Form::Armor => sealed(
            kind,
            "web-1",
            if kind == Kind::User {
                PASSWORD_HASH
            } else {
                PUBLIC_KEY
            },
            KEY
        ),
    })
}

fn good(shape: &Shape, kind: Kind) -> Value {
    match shape {
        Shape::Text(form) => good_text(*form, kind),
        Shape::Truth => json!(true),
        Shape::Number(most) => json!(most),
        Shape::List(form, _) => json!([good_text(*form, kind)]),
        Shape::Object(fields) => object(fields, kind),
        Shape::Spec => object(spec(kind), kind),
        Shape::Labels => json!({"a/b": "c"}),
        Shape::Sealed(_) => json!({"sealed": good_text(Form::Armor, kind)}),
    }
}

fn object(fields: &[Field], kind: Kind) -> Value {
    let fields = fields
        .iter()
        .map(|f| (f.name.to_owned(), good(&f.shape, kind)));
    Value::Object(fields.collect::<Map<_, _>>())
}

/// Values that a field of this shape must refuse.
fn wrong(shape: &Shape) -> Vec<Value> {
    let mut wrong = vec![json!(null), json!(1.5), json!(-1)];
    match shape {
        Shape::Text(_) => wrong.extend([json!(true), json!(7), json!([]), json!({}), json!("")]),
        Shape::Truth => wrong.extend([json!("true"), json!("no"), json!(1), json!([])]),
        Shape::Number(most) => wrong.extend([json!(u64::from(*most) + 1), json!("1"), json!(true)]),
        Shape::List(..) => wrong.extend([
            json!("a"),
            json!({}),
            json!([1]),
            json!([null]),
            json!([[]]),
            json!([""]),
        ]),
        Shape::Object(_) | Shape::Spec => wrong.extend([json!("a"), json!([]), json!({"zzz": 1})]),
        Shape::Labels => wrong.extend([
            json!([]),
            json!({"a b": "c"}),
            json!({"a": 1}),
            json!({"a": "x".repeat(64)}),
        ]),
        Shape::Sealed(_) => wrong.extend([
            json!("AAAA"),
            json!({}),
            json!({"sealed": "AAAA"}),
            json!({"plain": "AAAA"}),
            json!({"zzz": 1}),
            json!([]),
        ]),
    }
    wrong
}

/// Every field with the path to it.
fn paths(kind: Kind) -> Vec<(Vec<&'static str>, &'static Field)> {
    let mut found: Vec<_> = DOCUMENT.iter().map(|f| (vec![f.name], f)).collect();
    found.extend(METADATA.iter().map(|f| (vec!["metadata", f.name], f)));
    for field in spec(kind) {
        found.push((vec!["spec", field.name], field));
        if let Shape::Object(fields) = &field.shape {
            found.extend(fields.iter().map(|f| (vec!["spec", field.name, f.name], f)));
        }
    }
    found
}

fn with(
    document: &Value,
    path: &[&str],
    change: impl FnOnce(&mut Map<String, Value>, &str),
) -> Value {
    let mut document = document.clone();
    let (last, folders) = path.split_last().unwrap();
    let parent = folders
        .iter()
        .fold(&mut document, |at, name| &mut at[*name]);
    change(parent.as_object_mut().unwrap(), last);
    document
}

#[test]
fn decoder_and_schema_agree_on_every_field_of_the_table() {
    for kind in Kind::ALL {
        let validator = jsonschema::draft202012::new(&schema(kind)).unwrap();
        let any = jsonschema::draft202012::new(&any_schema()).unwrap();
        let full = object(DOCUMENT, kind);
        let agree = |document: &Value, sound: bool, what: &str| {
            let decoded = decodes(document);
            assert_eq!(
                decoded.is_ok(),
                sound,
                "{kind} {what}: decoder says {decoded:?}"
            );
            assert_eq!(validator.is_valid(document), sound, "{kind} {what}: schema");
            assert_eq!(
                any.is_valid(document),
                sound,
                "{kind} {what}: schema of any"
            );
        };
        agree(&full, true, "everything");
        for (path, field) in paths(kind) {
            let name = path.join(".");
            let without = with(&full, &path, |parent, last| drop(parent.remove(last)));
            agree(&without, !field.required, &format!("without {name}"));
            for value in wrong(&field.shape) {
                let what = format!("{name} = {value}");
                let changed = with(&full, &path, |parent, last| {
                    drop(parent.insert(last.to_owned(), value));
                });
                agree(&changed, false, &what);
            }
            let unknown = with(&full, &path, |parent, _| {
                drop(parent.insert("zzz".to_owned(), json!("a")));
            });
            agree(&unknown, false, &format!("zzz beside {name}"));
        }
    }
}

#[test]
fn a_plain_key_and_empty_lists_pass_both() {
    let mut machine = object(DOCUMENT, Kind::Machine);
    machine["spec"]["publicKey"] = json!({"plain": KEY});
    machine["spec"]["routes"] = json!([]);
    assert_eq!(decodes(&machine), Ok(()));
    assert!(jsonschema::draft202012::is_valid(
        &schema(Kind::Machine),
        &machine
    ));
    machine["spec"]["publicKey"]["sealed"] = good_text(Form::Armor, Kind::Machine);
    assert!(decodes(&machine).is_err());
    assert!(!jsonschema::draft202012::is_valid(
        &schema(Kind::Machine),
        &machine
    ));
}

#[test]
fn the_schema_of_a_role_reads_like_this() {
    insta::assert_snapshot!(format!("{:#}", schema(Kind::Role)), @r#"
    {
      "$schema": "https://json-schema.org/draft/2020-12/schema",
      "additionalProperties": false,
      "properties": {
        "apiVersion": {
          "const": "banyan/v1",
          "description": "The version of the format: banyan/v1."
        },
        "kind": {
          "const": "Role",
          "description": "What the document describes."
        },
        "metadata": {
          "additionalProperties": false,
          "description": "Name and labels.",
          "properties": {
            "labels": {
              "additionalProperties": {
                "maxLength": 63,
                "type": "string"
              },
              "description": "Labels to group objects by.",
              "propertyNames": {
                "maxLength": 63,
                "pattern": "^[A-Za-z0-9_./-]+$"
              },
              "type": "object"
            },
            "name": {
              "description": "A name, unique among documents of the kind (RFC 1123 label).",
              "maxLength": 63,
              "pattern": "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$",
              "type": "string"
            }
          },
          "required": [
            "name"
          ],
          "type": "object"
        },
        "spec": {
          "additionalProperties": false,
          "description": "The specification; its fields depend on the kind.",
          "properties": {
            "permissions": {
              "description": "Permissions of holders: resource:action, resource:* or *.",
              "items": {
                "maxLength": 128,
                "pattern": "^(\\*|[a-z0-9_.-]+:(\\*|[a-z0-9_.-]+))$",
                "type": "string"
              },
              "minItems": 0,
              "type": "array"
            }
          },
          "required": [
            "permissions"
          ],
          "type": "object"
        }
      },
      "required": [
        "apiVersion",
        "kind",
        "metadata",
        "spec"
      ],
      "title": "Banyan Role",
      "type": "object"
    }
    "#);
}
