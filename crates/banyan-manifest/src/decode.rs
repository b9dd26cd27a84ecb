//! Validates one document against the field table, and builds the typed document if it has no errors.

use banyan_core::{AnyDocument, Kind, Pos};

use crate::find::{Findings, nearest, shown};
use crate::form::{Form, VERSION};
use crate::object;
use crate::open::Opener;
use crate::payload::kind_of;
use crate::table::{DOCUMENT, Field, Shape, is_label_key, is_label_value, spec};
use crate::tree::{Entry, Node, Reading, Scalar, Tree, Value};

/// Decodes a document; returns one only if it has no findings at all.
pub(crate) fn document(
    tree: &Tree<'_>,
    opener: &mut Opener<'_>,
    findings: &mut Findings,
) -> Option<AnyDocument> {
    let root = &tree.root;
    let Value::Map(entries) = &root.value else {
        findings.error(
            root.pos,
            "wrong-type",
            format!("a document must be a mapping, not {}", what(&root.value)),
            "a document starts with `apiVersion: banyan/v1`; exclude other YAML files in `.banyanignore`",
        );
        return None;
    };
    if !is_ours(entries, findings) {
        return None;
    }
    let before = findings.count();
    let kind = kind(entries, findings);
    check_fields(root.pos, entries, DOCUMENT, kind, findings);
    // Unseal even if the document has other errors, so that one run reports every problem.
    let opened = kind.and_then(|kind| opener.open(kind, entries, findings));
    if findings.count() > before || !tree.sound {
        return None;
    }
    object::build(kind?, findings.path(), root.pos, entries, opened)
}

/// Whether the document has our apiVersion; one without a version is validated as if it had.
fn is_ours(entries: &[Entry<'_>], findings: &mut Findings) -> bool {
    let Some(Value::Scalar(version)) = value_of(entries, "apiVersion") else {
        return true;
    };
    if version.text == VERSION {
        return true;
    }
    findings.error(
        entry_of(entries, "apiVersion").map_or_else(Pos::default, |entry| entry.value.pos),
        "bad-version",
        format!(
            "apiVersion must be {VERSION}, not `{}`",
            shown(&version.text)
        ),
        "exclude other YAML files in `.banyanignore`",
    );
    false
}

fn kind(entries: &[Entry<'_>], findings: &mut Findings) -> Option<Kind> {
    let entry = entry_of(entries, "kind")?;
    let Value::Scalar(scalar) = &entry.value.value else {
        return None;
    };
    let kind = kind_of(&scalar.text);
    if kind.is_none() && scalar.reading() == Reading::Text {
        let names = Kind::ALL.map(Kind::in_document);
        let (message, help) = if scalar.text == "Policy" {
            let message = "kind `Policy` is not supported yet".to_owned();
            (message, "remove the document".to_owned())
        } else {
            let message = format!("unknown kind `{}`", shown(&scalar.text));
            (message, suggestion("kinds", &scalar.text, &names))
        };
        findings.error(entry.value.pos, "unknown-kind", message, help);
    }
    kind
}

pub(crate) fn entry_of<'n, 'a>(entries: &'n [Entry<'a>], name: &str) -> Option<&'n Entry<'a>> {
    entries.iter().find(|entry| entry.key == name)
}

pub(crate) fn value_of<'n, 'a>(entries: &'n [Entry<'a>], name: &str) -> Option<&'n Value<'a>> {
    entry_of(entries, name).map(|entry| &entry.value.value)
}

fn suggestion(of: &str, wrong: &str, names: &[&str]) -> String {
    nearest(wrong, names.iter().copied()).map_or_else(
        || format!("valid {of}: {}", names.join(", ")),
        |name| format!("did you mean `{name}`?"),
    )
}

fn check_fields(
    pos: Pos,
    entries: &[Entry<'_>],
    fields: &'static [Field],
    kind: Option<Kind>,
    findings: &mut Findings,
) {
    for entry in entries {
        match fields.iter().find(|field| field.name == entry.key) {
            Some(field) => check(field, &entry.value, kind, findings),
            None => unknown(entry, fields, findings),
        }
    }
    for field in fields {
        if field.required && entry_of(entries, field.name).is_none() {
            findings.error(
                pos,
                "missing-field",
                format!("`{}` is missing", field.name),
                field.about,
            );
        }
    }
}

fn unknown(entry: &Entry<'_>, fields: &[Field], findings: &mut Findings) {
    let names: Vec<&str> = fields.iter().map(|field| field.name).collect();
    findings.error(
        entry.key_pos,
        "unknown-field",
        format!("unknown field `{}`", shown(&entry.key)),
        suggestion("fields", &entry.key, &names),
    );
}

fn check(field: &Field, node: &Node<'_>, kind: Option<Kind>, findings: &mut Findings) {
    match (&field.shape, &node.value) {
        (_, Value::Refused) => {}
        (Shape::Text(form), Value::Scalar(scalar)) => {
            check_text(field.name, *form, node.pos, scalar, findings);
        }
        (Shape::Truth, Value::Scalar(scalar)) => check_truth(field, node.pos, scalar, findings),
        (Shape::Number(most), Value::Scalar(scalar)) => {
            check_number(field, *most, node.pos, scalar, findings);
        }
        (Shape::List(form, least), Value::List(items)) => {
            check_list(field, *form, *least, node.pos, items, findings);
        }
        (Shape::Object(fields), Value::Map(entries)) => {
            check_fields(node.pos, entries, fields, kind, findings);
        }
        (Shape::Spec, Value::Map(entries)) => {
            if let Some(kind) = kind {
                check_fields(node.pos, entries, spec(kind), Some(kind), findings);
            }
        }
        (Shape::Labels, Value::Map(entries)) => check_labels(entries, findings),
        (Shape::Sealed(plain), Value::Map(entries)) => {
            check_sealed(field, *plain, node.pos, entries, findings);
        }
        (shape, value) => wrong_type(field.name, wanted(shape), node.pos, value, findings),
    }
}

fn wanted(shape: &Shape) -> &'static str {
    match shape {
        Shape::Text(_) => "a string",
        Shape::Truth => "`true` or `false`",
        Shape::Number(_) => "a whole number",
        Shape::List(..) => "a list",
        Shape::Object(_) | Shape::Labels | Shape::Spec => "a mapping",
        Shape::Sealed(None) => "a mapping `sealed: …`",
        Shape::Sealed(Some(_)) => "a mapping `sealed: …` or `plain: …`",
    }
}

fn what(value: &Value<'_>) -> &'static str {
    match value {
        Value::List(_) => "a list",
        Value::Map(_) => "a mapping",
        Value::Refused => "an alias",
        Value::Scalar(scalar) => match scalar.reading() {
            Reading::Nothing => "null",
            Reading::Truth(_) => "a boolean",
            Reading::Number => "a number",
            Reading::Text => "a string",
        },
    }
}

fn wrong_type(name: &str, wanted: &str, pos: Pos, value: &Value<'_>, findings: &mut Findings) {
    let help = match value {
        Value::Scalar(scalar) if scalar.reading() == Reading::Nothing => {
            "give it a value, or remove the line".to_owned()
        }
        Value::Scalar(scalar) if wanted == "a string" => {
            format!("put it in quotes: \"{}\"", shown(&scalar.text))
        }
        Value::Scalar(_) if wanted == "a list" => {
            format!("write `{name}: [a, b]`, or one `- …` per line")
        }
        _ => "see `banyan schema` for the type of each field".to_owned(),
    };
    let message = format!("`{name}` must be {wanted}, not {}", what(value));
    findings.error(pos, "wrong-type", message, help);
}

fn check_text(name: &str, form: Form, pos: Pos, scalar: &Scalar<'_>, findings: &mut Findings) {
    if scalar.reading() != Reading::Text {
        let value = Value::Scalar(Scalar {
            text: scalar.text.clone(),
            plain: true,
        });
        return wrong_type(name, "a string", pos, &value, findings);
    }
    if let Err(reason) = form.check(&scalar.text) {
        let message = if form.may_be_shown(&scalar.text) {
            format!("`{name}` cannot be `{}`: {reason}", shown(&scalar.text))
        } else {
            format!("`{name}` is unusable: {reason}")
        };
        findings.error(pos, form.rule(&scalar.text), message, form.help());
    }
}

fn check_truth(field: &Field, pos: Pos, scalar: &Scalar<'_>, findings: &mut Findings) {
    if matches!(scalar.reading(), Reading::Truth(_)) {
        return;
    }
    let nothing = scalar.reading() == Reading::Nothing;
    let help = if nothing {
        "give it a value, or remove the line"
    } else {
        "write true or false, without quotes; `yes`, `no`, `on` and `off` are strings"
    };
    let given = match scalar.plain {
        _ if nothing => "nothing".to_owned(),
        true => format!("`{}`", shown(&scalar.text)),
        false => "a quoted string".to_owned(),
    };
    let message = format!("`{}` must be `true` or `false`, not {given}", field.name);
    findings.error(pos, "wrong-type", message, help);
}

/// A plain run of digits, at most `most`.
pub(crate) fn number(scalar: &Scalar<'_>, most: u32) -> Option<u32> {
    let digits = scalar.plain && scalar.text.bytes().all(|b| b.is_ascii_digit());
    let number = digits.then(|| scalar.text.parse().ok())??;
    (number <= most).then_some(number)
}

fn check_number(field: &Field, most: u32, pos: Pos, scalar: &Scalar<'_>, findings: &mut Findings) {
    if number(scalar, most).is_none() {
        let rule = if scalar.reading() == Reading::Number {
            "bad-value"
        } else {
            "wrong-type"
        };
        let message = format!("`{}` must be a whole number from 0 to {most}", field.name);
        findings.error(pos, rule, message, "write plain digits, without quotes");
    }
}

fn check_list(
    field: &Field,
    form: Form,
    least: usize,
    pos: Pos,
    items: &[Node<'_>],
    findings: &mut Findings,
) {
    if items.len() < least {
        let message = format!("`{}` must not be empty", field.name);
        findings.error(pos, "bad-value", message, form.help());
    }
    for item in items {
        match &item.value {
            Value::Refused => {}
            Value::Scalar(scalar) => {
                check_text(field.name, form, item.pos, scalar, findings);
            }
            value => {
                let wanted = "a list of strings";
                let message = format!(
                    "`{}` must be {wanted}, but this item is {}",
                    field.name,
                    what(value)
                );
                findings.error(item.pos, "wrong-type", message, form.help());
            }
        }
    }
}

fn check_labels(entries: &[Entry<'_>], findings: &mut Findings) {
    for entry in entries {
        if !is_label_key(&entry.key) {
            findings.error(
                entry.key_pos,
                "bad-value",
                format!("`{}` cannot be a label", shown(&entry.key)),
                "a label has 1 to 63 of a-z, A-Z, 0-9, '-', '_', '.' and '/'",
            );
        }
        let pos = entry.value.pos;
        match &entry.value.value {
            Value::Refused => {}
            Value::Scalar(scalar) if scalar.reading() == Reading::Text => {
                if !is_label_value(&scalar.text) {
                    let message = format!(
                        "the value of the label `{}` is too long or has control characters",
                        shown(&entry.key)
                    );
                    findings.error(
                        pos,
                        "bad-value",
                        message,
                        "a label's value has at most 63 characters on one line",
                    );
                }
            }
            value => wrong_type(&shown(&entry.key), "a string", pos, value, findings),
        }
    }
}

fn check_sealed(
    field: &Field,
    plain: Option<Form>,
    pos: Pos,
    entries: &[Entry<'_>],
    findings: &mut Findings,
) {
    let names: &[&str] = if plain.is_some() {
        &["sealed", "plain"]
    } else {
        &["sealed"]
    };
    for entry in entries {
        let form = match (entry.key.as_ref(), plain) {
            ("sealed", _) => Form::Armor,
            ("plain", Some(form)) => form,
            ("plain", None) => {
                let message = format!("`{}` must be sealed", field.name);
                findings.error(
                    entry.key_pos,
                    "not-sealed",
                    message,
                    "seal it with `banyan seal`",
                );
                continue;
            }
            (key, _) => {
                let message = format!("unknown field `{}`", shown(key));
                findings.error(
                    entry.key_pos,
                    "unknown-field",
                    message,
                    suggestion("fields", key, names),
                );
                continue;
            }
        };
        match &entry.value.value {
            Value::Refused => {}
            Value::Scalar(scalar) => {
                check_text(&entry.key, form, entry.value.pos, scalar, findings);
            }
            value => wrong_type(&entry.key, "a string", entry.value.pos, value, findings),
        }
    }
    let given = entries
        .iter()
        .filter(|entry| matches!(entry.key.as_ref(), "sealed" | "plain"))
        .count();
    if given != 1 {
        let one = if plain.is_some() {
            "exactly one of `sealed` and `plain`"
        } else {
            "`sealed`"
        };
        let message = format!("`{}` needs {one}", field.name);
        findings.error(pos, "missing-field", message, field.about);
    }
}
