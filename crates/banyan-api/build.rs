//! Compiles the protobuf without a system `protoc`, keeps the descriptor set for reflection, and generates the table of
//! required permissions from the `access` option of each RPC.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use protox::prost_reflect::{DescriptorPool, DynamicMessage, Value};

/// Messages that contain a secret: their `Debug` is written by hand.
const SECRET: [&str; 8] = [
    "LoginRequest",
    "EnrollRequest",
    "RefreshRequest",
    "Tokens",
    "ChangePasswordRequest",
    "AddUserRequest",
    "Enrolment",
    "RecoverAdminRequest",
];

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    println!("cargo:rerun-if-changed=proto");
    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_imports(true);
    for file in proto_files()? {
        compiler.open_file(file)?;
    }
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    let encoded = compiler.encode_file_descriptor_set();
    fs::write(out.join("access.rs"), access_table(&encoded)?)?;
    fs::write(out.join("banyan.v1.bin"), encoded)?;
    let mut builder = tonic_prost_build::configure().bytes(".banyan.v1.File.content");
    for message in SECRET {
        builder = builder.skip_debug([format!(".banyan.v1.{message}")]);
    }
    builder.compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}

/// Every file of the package, one per service, sorted by name.
fn proto_files() -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for entry in fs::read_dir("proto/banyan/v1")? {
        files.push(PathBuf::from("banyan/v1").join(entry?.file_name()));
    }
    files.sort();
    Ok(files)
}

/// The rows `("/package.Service/Method", access)`, sorted by path.
fn access_table(descriptors: &[u8]) -> Result<String, Failure> {
    let pool = DescriptorPool::decode(descriptors)?;
    let option = pool
        .get_extension_by_name("banyan.v1.access")
        .ok_or("the option `access` is missing")?;
    let mut rows = Vec::new();
    for method in pool.services().flat_map(|service| {
        let methods: Vec<_> = service.methods().collect();
        methods
    }) {
        let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
        let options = method.options();
        let access = options.get_extension(&option);
        let access = match (options.has_extension(&option), &*access) {
            (true, Value::Message(said)) => said_access(said),
            _ => None,
        };
        rows.push((path, access));
    }
    rows.sort();
    let mut table = String::from("&[\n");
    for (path, access) in rows {
        match access {
            Some(access) => writeln!(table, "    ({path:?}, Some({access})),")?,
            None => writeln!(table, "    ({path:?}, None),")?,
        }
    }
    table.push(']');
    Ok(table)
}

/// The Rust expression for an option; `None` if it grants no access.
fn said_access(said: &DynamicMessage) -> Option<String> {
    let flag = |name: &str| {
        matches!(
            said.get_field_by_name(name).as_deref(),
            Some(Value::Bool(true))
        )
    };
    if flag("anonymous") {
        return Some("Access::Anonymous".to_owned());
    }
    if flag("authenticated") {
        return Some("Access::Authenticated".to_owned());
    }
    if flag("host") {
        return Some("Access::Host".to_owned());
    }
    match said.get_field_by_name("permission").as_deref() {
        Some(Value::String(permission)) if !permission.is_empty() => {
            let own = flag("own");
            let or = match said.get_field_by_name("or").as_deref() {
                Some(Value::String(or)) if !or.is_empty() => format!("Some({or:?})"),
                _ => "None".to_owned(),
            };
            Some(format!(
                "Access::Permission {{ permission: {permission:?}, own: {own}, or: {or} }}"
            ))
        }
        _ => None,
    }
}
