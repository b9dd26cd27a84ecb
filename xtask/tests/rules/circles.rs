//! No circle between the modules of a crate.
//!
//! A module is a file; modules inside a file count as part of it, and test-only code does not count. A module *uses*
//! another if its code names something that the other defines, by a `use` declaration or by a path; a re-exported name
//! counts where it is defined. Uses are counted between siblings: `a::x` naming something in `b::y` is a use of `b` by
//! `a`, so a directory is one module to everything outside it, and siblings inside it are examined in the same way.
//! Between a module and a module inside it nothing is counted: a directory's file names its parts, and the parts name
//! what they share. Methods have no paths and are not seen.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};

use crate::tokens::{Token, group_end, tokens, without_tests};
use crate::workspace::{read, rust_files};

/// The remaining circles. A circle may lose modules but not gain any; one that is gone must be removed from the list.
const LEFT: &[Left] = &[
    Left {
        folder: "crates/banyan-git",
        around: "",
        modules: &["copy", "pack"],
        why: "copying objects is writing packs, with one error for both",
    },
    Left {
        folder: "crates/banyan-manifest",
        around: "",
        modules: &["decode", "object", "open"],
        why: "a sealed value is decoded as part of its document",
    },
    Left {
        folder: "crates/banyan-store",
        around: "embedded",
        modules: &["database", "file", "open", "snapshot"],
        why: "an open database, its file and its snapshots hold each other",
    },
    Left {
        folder: "crates/banyan-store-etcd",
        around: "",
        modules: &["snapshot", "store", "watch"],
        why: "snapshots and watches are made by the store and ask over its connection",
    },
];

/// A circle that is left: modules of one crate, the module around them, and the reason.
struct Left {
    folder: &'static str,
    around: &'static str,
    modules: &'static [&'static str],
    why: &'static str,
}

#[test]
fn no_modules_of_a_crate_stand_in_a_circle() -> Result<()> {
    let mut problems = Vec::new();
    let mut found = Vec::new();
    for folder in crates()? {
        for (around, modules, uses) in judge(&sources(&folder)?) {
            let is_left = |left: &&Left| {
                let known = |module: &String| left.modules.contains(&module.as_str());
                left.folder == folder && left.around == around && modules.iter().all(known)
            };
            match LEFT.iter().find(is_left) {
                Some(left) => found.push((left.folder, left.around)),
                None => problems.push(format!(
                    "{folder}, in `crate::{around}`:\n  {}",
                    uses.join("\n  ")
                )),
            }
        }
    }
    let gone = LEFT
        .iter()
        .filter(|left| !found.contains(&(left.folder, left.around)));
    problems.extend(gone.map(|left| {
        let (folder, why) = (left.folder, left.why);
        format!("{folder}: the circle of which LEFT says \"{why}\" is gone: take it off")
    }));
    ensure!(
        problems.is_empty(),
        "each of these modules needs each other one, so none can be read or moved alone; let what they share stand in \
         a module below them:\n{}",
        problems.join("\n")
    );
    Ok(())
}

/// The folders of all crates that have a library.
fn crates() -> Result<BTreeSet<String>> {
    let files = rust_files("crates")?;
    let folders = files
        .iter()
        .filter_map(|file| file.strip_suffix("/src/lib.rs"));
    Ok(folders.map(str::to_owned).collect())
}

/// The source files of a crate: path in the source folder, and text.
fn sources(folder: &str) -> Result<Vec<(String, String)>> {
    let src = format!("{folder}/src");
    let read = |file: String| {
        let inside = file.trim_start_matches(&src).trim_start_matches('/');
        Ok((inside.to_owned(), read(&file)?))
    };
    rust_files(&src)?.into_iter().map(read).collect()
}

type Path = Vec<String>;
/// Who uses whom among the modules of one parent, each with a place where that is.
type Uses = BTreeMap<Path, BTreeMap<(String, String), String>>;

#[derive(Default)]
struct Module {
    tokens: Vec<Token>,
    /// What the file's `use` declarations bring in, by the name that it has there.
    names: BTreeMap<String, Path>,
    /// Modules all of whose names are brought in.
    globs: Vec<Path>,
}

/// The modules of one crate by their paths; the crate itself is the empty path.
#[derive(Default)]
struct Crate(BTreeMap<Path, Module>);

impl Crate {
    /// From the files of a source folder, each with its path in there.
    fn new(files: &[(String, String)]) -> Self {
        let mut found = BTreeMap::new();
        let mut for_tests = Vec::new();
        for (file, text) in files {
            let Some(path) = module_path(file) else {
                continue;
            };
            let (tokens, tests) = without_tests(&tokens(text));
            for_tests.extend(tests.into_iter().map(|name| join(&path, &name)));
            found.insert(path, Module::new(tokens));
        }
        found.retain(|path, _| !for_tests.iter().any(|test| path.starts_with(test)));
        Self(found)
    }

    fn uses(&self) -> Uses {
        let mut uses = Uses::new();
        for (path, module) in &self.0 {
            for (line, named) in module.named() {
                let Some(used) = self.resolve(path, &named, 0) else {
                    continue;
                };
                let common = path.iter().zip(&used).take_while(|(a, b)| a == b).count();
                if let (Some(user), Some(target)) = (path.get(common), used.get(common)) {
                    let place = format!("{}:{line} names {}", path.join("::"), named.join("::"));
                    let edges = uses.entry(path[..common].to_vec()).or_default();
                    edges.entry((user.clone(), target.clone())).or_insert(place);
                }
            }
        }
        uses
    }

    /// The module that defines what a path names, as seen from a module; `None` for other crates.
    fn resolve(&self, from: &Path, named: &[String], depth: usize) -> Option<Path> {
        let (first, rest) = named.split_first()?;
        let module = self.0.get(from)?;
        match first.as_str() {
            _ if depth > 16 => None,
            "crate" => self.walk(Path::new(), rest, depth),
            "self" => self.walk(from.clone(), rest, depth),
            "super" => {
                let (_, parent) = from.split_last()?;
                let rest = [&["self".to_owned()], rest].concat();
                let rest = match rest.get(1).is_some_and(|next| next == "super") {
                    true => rest[1..].to_vec(),
                    false => rest,
                };
                self.resolve(&parent.to_vec(), &rest, depth)
            }
            name if self.0.contains_key(&join(from, name)) => self.walk(from.clone(), named, depth),
            name => match module.names.get(name) {
                Some(full) => {
                    let full = [full.as_slice(), rest].concat();
                    (full != named)
                        .then(|| self.resolve(from, &full, depth + 1))
                        .flatten()
                }
                None => module.globs.iter().find_map(|glob| {
                    let target = self.resolve(from, glob, depth + 1)?;
                    let inside = self.0.contains_key(&join(&target, name));
                    inside.then(|| self.walk(target, named, depth)).flatten()
                }),
            },
        }
    }

    fn walk(&self, at: Path, rest: &[String], depth: usize) -> Option<Path> {
        let Some((next, further)) = rest.split_first() else {
            return Some(at);
        };
        let child = join(&at, next);
        if self.0.contains_key(&child) {
            return self.walk(child, further, depth);
        }
        let module = self.0.get(&at)?;
        if let Some(full) = module.names.get(next) {
            let full = [full.as_slice(), further].concat();
            return self.resolve(&at, &full, depth + 1);
        }
        let through = module.globs.iter().find_map(|glob| {
            let target = self.resolve(&at, glob, depth + 1)?;
            let defines = self.0.get(&target)?.defines(next);
            defines.then_some(target)
        });
        Some(through.unwrap_or(at))
    }
}

impl Module {
    fn new(tokens: Vec<Token>) -> Self {
        let mut module = Self::default();
        for (_, path, name) in used(&tokens) {
            match name.as_str() {
                "*" => module.globs.push(path),
                _ => {
                    module.names.insert(name, path);
                }
            }
        }
        module.tokens = tokens;
        module
    }

    /// Every path that the code names, with its line.
    fn named(&self) -> Vec<(usize, Path)> {
        let declared = used(&self.tokens);
        let mut found: Vec<_> = declared.into_iter().map(|(line, p, _)| (line, p)).collect();
        let mut at = 0;
        while let Some(token) = self.tokens.get(at) {
            if token.is("use") {
                at = self.tokens[at..]
                    .iter()
                    .position(|token| token.is(";"))
                    .map_or(self.tokens.len(), |end| at + end);
                continue;
            }
            let (path, end) = path_at(&self.tokens, at);
            if path.len() > 1 {
                found.push((token.line, path));
            }
            at = end.max(at + 1);
        }
        found
    }

    fn defines(&self, name: &str) -> bool {
        self.tokens.windows(2).any(|pair| match pair {
            [keyword, defined] => {
                defined.is(name)
                    && ["fn", "struct", "enum", "trait", "type", "const", "static"]
                        .contains(&keyword.text.as_str())
            }
            _ => false,
        })
    }
}

/// The path that begins at a token, and the place after it. A part of another path, a field and a method are none.
fn path_at(tokens: &[Token], at: usize) -> (Path, usize) {
    let continued = |token: &Token| token.is("::") || token.is(".");
    let before = at.checked_sub(1).and_then(|before| tokens.get(before));
    let (mut path, mut end) = (Path::new(), at);
    if before.is_some_and(continued) {
        return (path, at + 1);
    }
    while let Some(name) = tokens.get(end).filter(|token| token.is_name()) {
        path.push(name.text.clone());
        end += 1;
        if !tokens.get(end).is_some_and(|token| token.is("::")) {
            break;
        }
        end += 1;
    }
    (path, end)
}

/// What `use` declarations bring in: line, full path, and the name it then has.
fn used(tokens: &[Token]) -> Vec<(usize, Path, String)> {
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        if token.is("use") {
            let end = tokens[at..].iter().position(|token| token.is(";"));
            let tree = &tokens[at + 1..end.map_or(tokens.len(), |end| at + end)];
            expand(&[], tree, &mut found);
        }
    }
    found
}

/// `a::{b, c::d as e}` → `a::b` named `b`, `a::c::d` named `e`.
fn expand(prefix: &[String], tree: &[Token], found: &mut Vec<(usize, Path, String)>) {
    let (path, end) = path_at(tree, 0);
    let mut full = [prefix, &path].concat();
    let line = tree.first().map_or(0, |token| token.line);
    match tree.get(end) {
        Some(token) if token.is("{") => {
            let close = group_end(tree, end, "{").unwrap_or(tree.len()) - 1;
            let (mut start, mut at) = (end + 1, end + 1);
            while at <= close {
                let token = &tree[at];
                if token.is("{") {
                    at = group_end(tree, at, "{").unwrap_or(tree.len());
                    continue;
                }
                if token.is(",") || at == close {
                    if start < at {
                        expand(&full, &tree[start..at], found);
                    }
                    start = at + 1;
                }
                at += 1;
            }
        }
        Some(token) if token.is("*") => found.push((line, full, "*".to_owned())),
        after => {
            if full.last().is_some_and(|last| last == "self") && full.len() > 1 {
                full.pop();
            }
            let renamed = after.filter(|token| token.is("as"));
            let renamed = renamed.and_then(|_| tree.get(end + 1));
            let name = renamed.map(|token| token.text.clone());
            if let Some(name) = name.or_else(|| full.last().cloned()) {
                found.push((line, full, name));
            }
        }
    }
}

/// The module of a file, by its path in the source folder; programs have none, since nothing uses them.
fn module_path(file: &str) -> Option<Path> {
    let path = file.strip_suffix(".rs")?;
    if path == "main" || path.starts_with("bin/") {
        return None;
    }
    let path = match path {
        "lib" => "",
        path => path.strip_suffix("/mod").unwrap_or(path),
    };
    let names = path.split('/').filter(|name| !name.is_empty());
    Some(names.map(str::to_owned).collect())
}

fn join(path: &[String], name: &str) -> Path {
    [path, &[name.to_owned()]].concat()
}

/// The circles among siblings: sets of modules each of which reaches each other one.
fn circles(edges: &BTreeMap<(String, String), String>) -> Vec<BTreeSet<String>> {
    let mut reach: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (user, used) in edges.keys() {
        reach.entry(user).or_default().insert(used);
    }
    let names: Vec<&str> = reach.keys().copied().collect();
    for middle in &names {
        let further = reach.get(middle).cloned().unwrap_or_default();
        for reached in reach
            .values_mut()
            .filter(|reached| reached.contains(middle))
        {
            reached.extend(&further);
        }
    }
    let reaches = |a: &str, b: &str| reach.get(a).is_some_and(|reached| reached.contains(b));
    let circle = |name: &&&str| {
        let others = names
            .iter()
            .filter(|other| reaches(name, other) && reaches(other, name));
        others
            .map(|other| (*other).to_owned())
            .collect::<BTreeSet<_>>()
    };
    let found: BTreeSet<_> = names.iter().map(|name| circle(&name)).collect();
    found
        .into_iter()
        .filter(|circle| circle.len() > 1)
        .collect()
}

/// The circles of a crate: the module around each, the modules in it, and the uses that make it.
fn judge(files: &[(String, String)]) -> Vec<(String, BTreeSet<String>, Vec<String>)> {
    let mut found = Vec::new();
    for (parent, edges) in Crate::new(files).uses() {
        for circle in circles(&edges) {
            let inside = edges
                .iter()
                .filter(|((a, b), _)| circle.contains(a) && circle.contains(b));
            let uses = inside.map(|((a, b), place)| format!("{a} → {b}: {place}"));
            found.push((parent.join("::"), circle.clone(), uses.collect()));
        }
    }
    found
}

fn found(files: &[(&str, &str)]) -> Vec<String> {
    let files: Vec<_> = files
        .iter()
        .map(|(file, text)| ((*file).to_owned(), (*text).to_owned()))
        .collect();
    let circles = judge(&files).into_iter();
    circles
        .map(|(around, modules, _)| {
            let modules: Vec<String> = modules.into_iter().collect();
            format!("{around}: {}", modules.join(" "))
        })
        .collect()
}

#[test]
fn a_circle_is_found_however_it_is_spelled() {
    for (a, b) in [
        ("use crate::b::B;", "use crate::a::A;"),
        (
            "use crate::{Failure, b::{B as Bee}};",
            "fn f() { g!(crate::a::A::new()) }",
        ),
        (
            "use super::b;\nfn f() { b::make() }",
            "use super::super::x::a::A;",
        ),
        ("use crate::Again;", "impl crate::a::A {}"),
        (
            "use super::*;\nfn f() -> b::B { b::B }",
            "use crate::{a, Failure};",
        ),
    ] {
        let nested = b.contains("super::super");
        let files = match nested {
            true => vec![
                ("lib.rs", "mod x;"),
                ("x/mod.rs", "mod a; mod b;"),
                ("x/a.rs", a),
                ("x/b.rs", b),
            ],
            false => vec![
                (
                    "lib.rs",
                    "mod a; mod b; pub use b::B as Again; pub struct Failure;",
                ),
                ("a.rs", a),
                ("b.rs", b),
            ],
        };
        let expected = if nested { "x: a b" } else { ": a b" };
        assert_eq!(found(&files), [expected], "{a} {b}");
    }
}

#[test]
fn a_folder_is_one_module_to_everything_outside_of_it() {
    let files = [
        ("lib.rs", "mod a; mod b; mod c;"),
        ("a.rs", "mod deep;"),
        ("a/deep.rs", "use crate::b::B;"),
        ("b.rs", "use crate::c::C;"),
        ("c.rs", "use crate::a::A;"),
    ];
    assert_eq!(found(&files), [": a b c"]);
}

#[test]
fn what_goes_one_way_is_no_circle_nor_are_a_folder_and_its_parts_nor_tests() {
    let files = [
        (
            "lib.rs",
            "mod a; mod b; #[cfg(test)] mod helpers; fn root() { a::start() }",
        ),
        (
            "a.rs",
            "mod part; use part::Part; use crate::b::B; pub struct A;",
        ),
        (
            "a/part.rs",
            "use super::A; use crate::Root; pub struct Part;",
        ),
        (
            "b.rs",
            "// crate::a::A\n#[cfg(test)]\nmod tests { use crate::a::A; use crate::helpers; }",
        ),
        ("helpers.rs", "use crate::b::B;"),
        ("main.rs", "use crate::b::B;"),
    ];
    assert_eq!(found(&files), Vec::<String>::new());
}
