//! JSON Schema (2020-12) of the documents, for editors: generated from the field table that the decoder uses.

use banyan_core::Kind;
use serde_json::{Map, Value, json};

use crate::form::Form;
use crate::table::{DOCUMENT, Field, MAX_LABEL, Shape, spec};

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// The schema of the documents of a kind.
///
/// It accepts everything that the decoder accepts; what a schema cannot express (checksums, dates that do not exist, sealed
/// content) only the decoder checks.
#[must_use]
pub fn schema(kind: Kind) -> Value {
    let mut schema = document(kind);
    insert(&mut schema, "$schema", json!(DIALECT));
    schema
}

/// The schema of a document of any kind.
#[must_use]
pub fn any_schema() -> Value {
    json!({
        "$schema": DIALECT,
        "title": "Banyan document",
        "oneOf": Kind::ALL.map(document),
    })
}

fn document(kind: Kind) -> Value {
    let mut schema = object(DOCUMENT, kind);
    insert(
        &mut schema,
        "title",
        json!(format!("Banyan {}", kind.in_document())),
    );
    schema
}

fn insert(schema: &mut Value, key: &str, value: Value) {
    if let Value::Object(map) = schema {
        map.insert(key.to_owned(), value);
    }
}

fn object(fields: &[Field], kind: Kind) -> Value {
    let required = fields.iter().filter(|field| field.required);
    let properties: Map<String, Value> = fields
        .iter()
        .map(|field| {
            let mut schema = of_shape(&field.shape, kind);
            insert(&mut schema, "description", json!(field.about));
            (field.name.to_owned(), schema)
        })
        .collect();
    json!({
        "type": "object",
        "properties": properties,
        "required": required.map(|field| field.name).collect::<Vec<_>>(),
        "additionalProperties": false,
    })
}

fn of_shape(shape: &Shape, kind: Kind) -> Value {
    match shape {
        Shape::Text(Form::Kind) => json!({"const": kind.in_document()}),
        Shape::Text(form) => form.schema(),
        Shape::Truth => json!({"type": "boolean"}),
        Shape::Number(most) => json!({"type": "integer", "minimum": 0, "maximum": most}),
        Shape::List(form, least) => {
            json!({"type": "array", "items": form.schema(), "minItems": least})
        }
        Shape::Object(fields) => object(fields, kind),
        Shape::Spec => object(spec(kind), kind),
        Shape::Labels => json!({
            "type": "object",
            "propertyNames": {"pattern": "^[A-Za-z0-9_./-]+$", "maxLength": MAX_LABEL},
            "additionalProperties": {"type": "string", "maxLength": MAX_LABEL},
        }),
        Shape::Sealed(plain) => sealed(*plain),
    }
}

fn sealed(plain: Option<Form>) -> Value {
    let one = |name: &str, form: Form| {
        json!({
            "type": "object",
            "properties": {name: form.schema()},
            "required": [name],
            "additionalProperties": false,
        })
    };
    match plain {
        None => one("sealed", Form::Armor),
        Some(form) => json!({"oneOf": [one("sealed", Form::Armor), one("plain", form)]}),
    }
}
