//! Which module of a crate needs which, read from the source, and the circles among them.
//!
//! Tests are left out: what stands behind `#[cfg(test)]` may need anything.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The path of a module within its crate; the root's is empty.
type ModulePath = Vec<String>;

/// The modules of one crate.
#[derive(Debug)]
pub struct Modules {
    modules: BTreeMap<ModulePath, Module>,
    /// How many files are of tests alone.
    test_files: usize,
}

#[derive(Debug, Default)]
struct Module {
    children: BTreeSet<String>,
    /// The items that the file defines.
    defined: BTreeSet<String>,
    /// The paths that the file imports or names.
    paths: Vec<NamedPath>,
    /// The children that are compiled for tests alone.
    test_children: BTreeSet<String>,
}

/// A path as it stands in a file.
#[derive(Clone, Debug)]
struct NamedPath {
    segments: Vec<String>,
    /// The name that an import gives its item; a path within the code gives none.
    name: Option<String>,
    is_public: bool,
}

impl Modules {
    /// Reads a crate from its root file, `lib.rs` or `main.rs`.
    ///
    /// # Panics
    /// Panics where a file cannot be read.
    pub fn read(root: &Path) -> Self {
        let mut modules = BTreeMap::new();
        let folder = root.parent().unwrap_or(Path::new(""));
        let mut left = vec![(Some(ModulePath::new()), root.to_owned(), folder.to_owned())];
        let mut test_files = 0;
        // A file of tests has no path: only its number counts.
        while let Some((path, file, folder)) = left.pop() {
            let text = fs::read_to_string(&file)
                .unwrap_or_else(|wrong| unreachable!("{}: {wrong}", file.display()));
            let module = Module::parse(&tokens(&text));
            for child in &module.test_children {
                let (file, below) = child_file(&folder, child);
                left.push((None, file, below));
            }
            for child in &module.children {
                let (file, below) = child_file(&folder, child);
                let path =
                    path.as_ref().map(|path| [&path[..], std::slice::from_ref(child)].concat());
                left.push((path, file, below));
            }
            match path {
                Some(path) => drop(modules.insert(path, module)),
                None => test_files += 1,
            }
        }
        Self { modules, test_files }
    }

    /// Returns the circles of modules, each as `parent: one, other`, where `self` is the file of
    /// the parent and a folder's name stands for all of the folder.
    pub fn circles(&self) -> BTreeSet<String> {
        let mut edges: BTreeMap<&[String], BTreeSet<(String, String)>> = BTreeMap::new();
        for (from, module) in &self.modules {
            for path in &module.paths {
                let Some(to) = self.resolve(from, &path.segments, 0) else { continue };
                let is_face = path.is_public && to.starts_with(from);
                if to == *from || is_face {
                    continue;
                }
                let common = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
                let node =
                    |path: &ModulePath| path.get(common).map_or("self", String::as_str).to_owned();
                edges.entry(&from[..common]).or_default().insert((node(from), node(&to)));
            }
        }
        let mut circles = BTreeSet::new();
        for (parent, edges) in edges {
            for circle in circles_of(&edges) {
                let parent = if parent.is_empty() { "crate".to_owned() } else { parent.join("::") };
                circles.insert(format!("{parent}: {}", circle.join(", ")));
            }
        }
        circles
    }

    /// Returns how many files the crate has, those of tests included.
    pub fn num_files(&self) -> usize {
        self.modules.len() + self.test_files
    }

    /// Returns the module that defines what a path names, if it is of this crate.
    fn resolve(&self, from: &[String], segments: &[String], depth: usize) -> Option<ModulePath> {
        let mut at = from.to_vec();
        let mut rest = segments;
        match rest.first()?.as_str() {
            "crate" => (at, rest) = (ModulePath::new(), &rest[1..]),
            "self" => rest = &rest[1..],
            "super" => {
                while rest.first().is_some_and(|first| first == "super") {
                    at.pop();
                    rest = &rest[1..];
                }
            }
            first if self.modules[&at].children.contains(first) => {}
            _ => return None,
        }
        for segment in rest {
            if self.modules.get(&at)?.children.contains(segment) {
                at.push(segment.clone());
            } else {
                return Some(self.definer(&at, segment, depth).unwrap_or(at));
            }
        }
        Some(at)
    }

    /// Returns the module that defines an item which `module` defines or imports.
    fn definer(&self, module: &[String], item: &str, depth: usize) -> Option<ModulePath> {
        let Module { defined, paths, .. } = self.modules.get(module)?;
        if defined.contains(item) || depth > 8 {
            return Some(module.to_vec());
        }
        let of_name = |path: &&NamedPath, name: &str| path.name.as_deref() == Some(name);
        if let Some(path) = paths.iter().find(|path| of_name(path, item)) {
            return self.resolve(module, &path.segments, depth + 1);
        }
        let globs = paths.iter().filter(|path| of_name(path, "*"));
        let targets = globs.filter_map(|path| self.resolve(module, &path.segments, depth + 1));
        targets.filter(|target| target != module).find_map(|target| {
            let definer = self.definer(&target, item, depth + 1)?;
            self.modules[&definer].defined.contains(item).then_some(definer)
        })
    }
}

/// Returns the file of a child module, and the folder of its own children.
fn child_file(folder: &Path, child: &str) -> (PathBuf, PathBuf) {
    let below = folder.join(child);
    let flat = folder.join(format!("{child}.rs"));
    (if flat.is_file() { flat } else { below.join("mod.rs") }, below)
}

/// Returns the groups of nodes that reach each other.
fn circles_of(edges: &BTreeSet<(String, String)>) -> Vec<Vec<String>> {
    let reached = |start: &str| {
        let (mut seen, mut left) = (BTreeSet::new(), vec![start]);
        while let Some(node) = left.pop() {
            for (_, to) in edges.iter().filter(|(from, _)| from == node) {
                if seen.insert(to.as_str()) {
                    left.push(to);
                }
            }
        }
        seen
    };
    let nodes: BTreeSet<&str> = edges.iter().map(|(from, _)| from.as_str()).collect();
    let all: BTreeMap<&str, BTreeSet<&str>> =
        nodes.into_iter().map(|node| (node, reached(node))).collect();
    let mut circles = BTreeSet::new();
    for (node, seen) in &all {
        if seen.contains(node) {
            let circle =
                all.iter().filter(|(other, back)| seen.contains(*other) && back.contains(node));
            circles.insert(circle.map(|(other, _)| (*other).to_owned()).collect::<Vec<_>>());
        }
    }
    circles.into_iter().collect()
}

impl Module {
    fn parse(tokens: &[String]) -> Self {
        let mut module = Self::default();
        let token = |at: usize| tokens.get(at).map_or("", String::as_str);
        let (mut at, mut is_public) = (0, false);
        while at < tokens.len() {
            match token(at) {
                "#" if tokens[at..].iter().take(7).map(String::as_str).eq(CFG_TEST) => {
                    at += CFG_TEST.len();
                    if token(at) == "mod" && token(at + 2) == ";" {
                        module.test_children.insert(token(at + 1).to_owned());
                    }
                    at = after_item(tokens, at);
                    continue;
                }
                "pub" => {
                    is_public = true;
                    at += 1;
                    if token(at) == "(" && ["crate", "super", "self", "in"].contains(&token(at + 1))
                    {
                        at += tokens[at..].iter().position(|token| token == ")").unwrap_or(0) + 1;
                    }
                    continue;
                }
                "use" => {
                    at = module.import(tokens, at + 1, &[], is_public);
                }
                "mod" if token(at + 2) == ";" => {
                    module.children.insert(token(at + 1).to_owned());
                    at += 2;
                }
                "fn" | "struct" | "enum" | "trait" | "type" | "const" | "static" | "union"
                | "mod" => {
                    module.defined.insert(token(at + 1).to_owned());
                }
                "macro_rules" => {
                    module.defined.insert(token(at + 2).to_owned());
                }
                _ if token(at + 1) == "::" && (at == 0 || token(at - 1) != "::") => {
                    let mut segments = vec![token(at).to_owned()];
                    while token(at + 1) == "::" && is_name(token(at + 2)) {
                        segments.push(token(at + 2).to_owned());
                        at += 2;
                    }
                    module.paths.push(NamedPath { segments, name: None, is_public: false });
                }
                _ => {}
            }
            is_public = false;
            at += 1;
        }
        module
    }

    /// Reads the tree of an import that begins at a token, and returns where it ends.
    fn import(
        &mut self,
        tokens: &[String],
        start: usize,
        above: &[String],
        is_public: bool,
    ) -> usize {
        let (mut at, mut segments) = (start, above.to_vec());
        let mut name = None;
        loop {
            match tokens.get(at).map_or(";", String::as_str) {
                "{" => {
                    loop {
                        at = self.import(tokens, at + 1, &segments, is_public);
                        if tokens.get(at).is_none_or(|token| token != ",") {
                            break;
                        }
                    }
                    return at + 1;
                }
                "as" => {
                    name = tokens.get(at + 1).cloned();
                    at += 1;
                }
                "*" => name = Some("*".to_owned()),
                "::" => {}
                word if is_name(word) => segments.push(word.to_owned()),
                _ => break,
            }
            at += 1;
        }
        if segments.len() > above.len() || name.is_some() {
            if segments.len() > 1 && segments.last().is_some_and(|last| last == "self") {
                segments.pop();
            }
            let name = name.or_else(|| segments.last().cloned());
            self.paths.push(NamedPath { segments, name, is_public });
        }
        at
    }
}

const CFG_TEST: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];

/// Returns where the item that begins at a token ends, its attributes included.
fn after_item(tokens: &[String], start: usize) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(start) {
        match token.as_str() {
            "{" | "(" | "[" => depth += 1,
            ")" | "]" => depth = depth.saturating_sub(1),
            "}" => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + 1;
                }
            }
            ";" if depth == 0 => return at + 1,
            _ => {}
        }
    }
    tokens.len()
}

fn is_name(token: &str) -> bool {
    token.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

/// Cuts source text into words, `::` and single characters, without comments, strings and
/// characters.
fn tokens(text: &str) -> Vec<String> {
    let text: Vec<char> = text.chars().collect();
    let char_at = |at: usize| text.get(at).copied().unwrap_or('\0');
    let mut tokens: Vec<String> = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let here = char_at(at);
        if here == '/' && char_at(at + 1) == '/' {
            while at < text.len() && char_at(at) != '\n' {
                at += 1;
            }
        } else if here == '/' && char_at(at + 1) == '*' {
            while at < text.len() && !(char_at(at) == '*' && char_at(at + 1) == '/') {
                at += 1;
            }
            at += 2;
        } else if here == '"' {
            let hashes = raw_hashes(&mut tokens);
            at = after_string(&text, at + 1, hashes);
        } else if here == '\'' && (char_at(at + 1) == '\\' || char_at(at + 2) == '\'') {
            at += if char_at(at + 1) == '\\' { 3 } else { 2 };
            while at < text.len() && char_at(at) != '\'' {
                at += 1;
            }
            at += 1;
        } else if here.is_alphanumeric() || here == '_' {
            let start = at;
            while char_at(at).is_alphanumeric() || char_at(at) == '_' {
                at += 1;
            }
            tokens.push(text[start..at].iter().collect());
        } else if here == ':' && char_at(at + 1) == ':' {
            tokens.push("::".to_owned());
            at += 2;
        } else {
            if !here.is_whitespace() {
                tokens.push(here.to_string());
            }
            at += 1;
        }
    }
    tokens
}

/// Takes the prefix of a string off the tokens, and returns how many `#` a raw string has.
fn raw_hashes(tokens: &mut Vec<String>) -> Option<usize> {
    let hashes = tokens.iter().rev().take_while(|token| *token == "#").count();
    let prefix = tokens.len().checked_sub(hashes + 1).map(|at| tokens[at].clone());
    let is_prefix = |word: &str| ["r", "br", "cr"].contains(&word);
    if prefix.as_deref().is_some_and(is_prefix) {
        tokens.truncate(tokens.len() - hashes - 1);
        return Some(hashes);
    }
    None
}

/// Returns where a string ends whose text begins at `at`.
fn after_string(text: &[char], mut at: usize, raw_hashes: Option<usize>) -> usize {
    while at < text.len() {
        match (text[at], raw_hashes) {
            ('\\', None) => at += 1,
            ('"', None) => return at + 1,
            ('"', Some(hashes)) => {
                let closing = text[at + 1..].iter().take_while(|&&sign| sign == '#').count();
                if closing >= hashes {
                    return at + 1 + hashes;
                }
            }
            _ => {}
        }
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "what a test reads need not be staged")]
    fn crate_of(files: &[(&str, &str)]) -> BTreeSet<String> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Modules::read(&folder.path().join("lib.rs")).circles()
    }

    #[test]
    fn two_files_that_need_each_other_are_a_circle() {
        let found = crate_of(&[
            ("lib.rs", "mod a; mod b; mod c;"),
            ("a.rs", "use super::b::{self, Deep};\npub struct A;"),
            ("b.rs", "pub struct Deep(crate::a::A);"),
            ("c.rs", "use crate::a::A; // use crate::c::C\n"),
        ]);

        assert_eq!(found, ["crate: a, b".to_owned()].into());
    }

    #[test]
    fn a_re_export_leads_to_the_file_that_defines() {
        let found = crate_of(&[
            ("lib.rs", "mod x; mod y;"),
            ("x/mod.rs", "mod one;\nmod two;\npub use one::One;\npub(crate) use two::*;"),
            ("x/one.rs", "use super::Two;\npub struct One;"),
            ("x/two.rs", "pub struct Two;\n#[cfg(test)]\nmod tests { use super::super::One; }"),
            ("y.rs", "use crate::x::One; fn f() -> &'static str { r#\"crate::x \"# }"),
        ]);

        assert_eq!(found, BTreeSet::new());
    }

    #[test]
    fn folders_that_need_each_other_are_a_circle_though_no_two_files_are() {
        let found = crate_of(&[
            ("lib.rs", "mod x; mod y;"),
            ("x/mod.rs", "mod one; mod two; pub use one::One; pub use two::Two;"),
            ("x/one.rs", "pub struct One;"),
            ("x/two.rs", "pub struct Two(crate::y::Y);"),
            ("y.rs", "pub struct Y(crate::x::One);"),
        ]);

        assert_eq!(found, ["crate: x, y".to_owned()].into());
    }
}
