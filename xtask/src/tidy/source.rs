//! One Rust file as the rules see it: its modules, what each brings into scope and what it
//! mentions, read from the token stream, so that the arguments of macros are seen too.
//!
//! Nothing is type-checked: a path is followed through `use`, not through values and traits.

use proc_macro2::{Delimiter, Ident, TokenStream, TokenTree};

use super::TidyError;

/// What a file is for, which decides the rules that hold for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Below `src/`: part of the product.
    Product,
    /// A test, benchmark, example or build script.
    Around,
}

impl Place {
    /// The place of a file, from its path inside its package; `None` for what is not Rust.
    #[must_use]
    pub fn of(path: &str) -> Option<Self> {
        if !path.ends_with(".rs") {
            return None;
        }
        Some(if path.starts_with("src/") { Self::Product } else { Self::Around })
    }
}

/// A Rust file.
#[derive(Debug)]
pub struct Source {
    /// The package it belongs to.
    pub package: String,
    /// Its path relative to the workspace.
    pub path: String,
    /// What it is for.
    pub place: Place,
    /// Its text.
    pub text: String,
    /// The file's own module first, then the modules written inside it.
    pub modules: Vec<Module>,
}

/// A module: the file itself, or one in braces inside it.
#[derive(Debug)]
pub struct Module {
    /// Its path inside the package: empty for the root.
    pub path: Vec<String>,
    /// What `use` brings into its scope.
    pub uses: Vec<Use>,
    /// The names it mentions.
    pub mentions: Vec<Mention>,
    /// The names of the modules it declares, with the line.
    pub children: Vec<(String, usize)>,
}

/// One leaf of a `use` declaration.
#[derive(Debug)]
pub struct Use {
    /// The whole path, as written.
    pub path: Vec<String>,
    /// The name it has here; `*` for a glob.
    pub name: String,
    /// Whether it is handed on (`pub use`, `pub(crate) use`): a door, not a need.
    pub public: bool,
    /// Where.
    pub line: usize,
    /// Whether it is only compiled for tests.
    pub test: bool,
}

/// A name in the code: a path, a macro's name, a method's name or a keyword.
#[derive(Debug)]
pub struct Mention {
    /// The segments, as written; generic arguments end the path.
    pub path: Vec<String>,
    /// What kind of name it is.
    pub kind: Kind,
    /// Where.
    pub line: usize,
    /// Whether it is only compiled for tests.
    pub test: bool,
}

/// The kinds of [`Mention`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `a::b`, or a bare name.
    Path,
    /// `name!(…)`.
    Macro,
    /// `.name`.
    Method,
}

impl Source {
    /// Reads a file.
    ///
    /// # Errors
    /// When the text is not Rust.
    pub fn parse(package: &str, path: &str, place: Place, text: String) -> Result<Self, TidyError> {
        let tokens: TokenStream = text.parse().map_err(|error: proc_macro2::LexError| {
            TidyError::Syntax { file: path.to_owned(), reason: error.to_string() }
        })?;
        let mut reader = Reader { modules: vec![Module::new(module_path(path))] };
        reader.read(tokens, 0, false);
        Ok(Self {
            package: package.to_owned(),
            path: path.to_owned(),
            place,
            text,
            modules: reader.modules,
        })
    }

    /// How many lines the file has.
    #[must_use]
    pub fn lines(&self) -> usize {
        self.text.lines().count()
    }

    /// Everything mentioned anywhere in the file, with the first segment followed through the
    /// file's `use` declarations, and every path that `use` itself names.
    pub fn resolved(&self) -> impl Iterator<Item = (Vec<String>, &Mention)> {
        self.modules.iter().flat_map(move |module| {
            module.mentions.iter().map(move |mention| {
                let path = match mention.kind {
                    Kind::Method => mention.path.clone(),
                    Kind::Path | Kind::Macro => self.follow(&mention.path),
                };
                (path, mention)
            })
        })
    }

    /// A path with its first name replaced by what `use` says it stands for.
    fn follow(&self, path: &[String]) -> Vec<String> {
        let mut path = path.to_vec();
        // Four steps are more than any honest chain of renames needs.
        for _ in 0..4 {
            let uses = self.modules.iter().flat_map(|module| &module.uses);
            match uses.into_iter().find(|leaf| leaf.name == path[0] && leaf.path[0] != path[0]) {
                Some(leaf) => path.splice(0..1, leaf.path.iter().cloned()),
                None => break,
            };
        }
        path
    }
}

impl Module {
    fn new(path: Vec<String>) -> Self {
        Self { path, uses: Vec::new(), mentions: Vec::new(), children: Vec::new() }
    }
}

/// The module a file below `src/` is; files elsewhere are roots of their own.
fn module_path(path: &str) -> Vec<String> {
    let inside = path.split_once("src/").map_or("", |(_, inside)| inside);
    let mut parts: Vec<String> =
        inside.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    if matches!(parts.last().map(String::as_str), Some("lib" | "main" | "mod" | "")) {
        parts.pop();
    }
    parts
}

/// Walks the tokens, gathering modules, uses and mentions.
struct Reader {
    modules: Vec<Module>,
}

impl Reader {
    fn read(&mut self, stream: TokenStream, module: usize, test: bool) {
        let tokens: Vec<TokenTree> = stream.into_iter().collect();
        let mut at = 0;
        // Set by `#[cfg(test)]`, holds until the end of the item that follows.
        let mut item_test = false;
        while at < tokens.len() {
            let in_test = test || item_test;
            match &tokens[at] {
                TokenTree::Group(group) => {
                    self.read(group.stream(), module, in_test);
                    if group.delimiter() == Delimiter::Brace {
                        item_test = false;
                    }
                    at += 1;
                }
                TokenTree::Punct(punct) => {
                    match punct.as_char() {
                        '#' if is_cfg_test(&tokens[at + 1..]) => item_test = true,
                        ';' => item_test = false,
                        // A lifetime: its name is not a mention.
                        '\'' => at += 1,
                        _ => {}
                    }
                    at += 1;
                }
                TokenTree::Literal(_) => at += 1,
                TokenTree::Ident(ident) if ident == "use" => {
                    at = self.read_use(&tokens, at, module, in_test);
                    item_test = false;
                }
                TokenTree::Ident(ident) if ident == "mod" => {
                    at = self.read_mod(&tokens, at, module, in_test);
                    item_test = false;
                }
                TokenTree::Ident(ident) => {
                    at = self.read_path(&tokens, at, ident, module, in_test);
                }
            }
        }
    }

    /// Reads `a::b::c`, `a::b!` or `.a` from `at`; returns where it ends.
    fn read_path(
        &mut self,
        tokens: &[TokenTree],
        at: usize,
        first: &Ident,
        module: usize,
        test: bool,
    ) -> usize {
        let mut path = vec![first.to_string()];
        let mut end = at + 1;
        while is_path_separator(tokens, end)
            && let Some(TokenTree::Ident(next)) = tokens.get(end + 2)
        {
            path.push(next.to_string());
            end += 3;
        }
        let bang = matches!(tokens.get(end), Some(TokenTree::Punct(p)) if p.as_char() == '!');
        let kind = if is_method(tokens, at) {
            Kind::Method
        } else if bang && matches!(tokens.get(end + 1), Some(TokenTree::Group(_))) {
            Kind::Macro
        } else {
            Kind::Path
        };
        let line = first.span().start().line;
        self.modules[module].mentions.push(Mention { path, kind, line, test });
        end
    }

    /// Reads a `use` declaration; returns where it ends.
    fn read_use(&mut self, tokens: &[TokenTree], at: usize, module: usize, test: bool) -> usize {
        let end = (at..tokens.len())
            .find(|&end| matches!(&tokens[end], TokenTree::Punct(p) if p.as_char() == ';'))
            .unwrap_or(tokens.len());
        let public = is_public(&tokens[..at]);
        let mut leaves = Vec::new();
        read_use_tree(&tokens[at + 1..end], &mut Vec::new(), &mut leaves);
        for (path, name, line) in leaves {
            let found = &mut self.modules[module];
            if !path.is_empty() {
                if !public {
                    let path = path.clone();
                    found.mentions.push(Mention { path, kind: Kind::Path, line, test });
                }
                found.uses.push(Use { path, name, public, line, test });
            }
        }
        end + 1
    }

    /// Reads `mod name;` or `mod name { … }`; returns where it ends.
    fn read_mod(&mut self, tokens: &[TokenTree], at: usize, module: usize, test: bool) -> usize {
        let Some(TokenTree::Ident(name)) = tokens.get(at + 1) else { return at + 1 };
        let line = name.span().start().line;
        if !test {
            self.modules[module].children.push((name.to_string(), line));
        }
        if let Some(TokenTree::Group(body)) = tokens.get(at + 2) {
            let mut path = self.modules[module].path.clone();
            path.push(name.to_string());
            self.modules.push(Module::new(path));
            let inner = self.modules.len() - 1;
            self.read(body.stream(), inner, test);
        }
        at + 3
    }
}

/// A leaf of a `use` tree: the path, the name it gets, the line.
type Leaf = (Vec<String>, String, usize);

/// Reads `a::{b, c as d, e::*}` below a prefix.
fn read_use_tree(tokens: &[TokenTree], prefix: &mut Vec<String>, leaves: &mut Vec<Leaf>) {
    for part in split_at_commas(tokens) {
        let depth = prefix.len();
        let mut name = String::new();
        let mut line = 0;
        let mut parts = part.iter();
        let mut grouped = false;
        while let Some(token) = parts.next() {
            match token {
                TokenTree::Ident(ident) if ident == "as" => {
                    name = parts.next().map(ToString::to_string).unwrap_or_default();
                }
                TokenTree::Ident(ident) => {
                    line = ident.span().start().line;
                    // `a::{self}` names `a`; `self::a` starts at this module.
                    if ident != "self" || prefix.is_empty() {
                        prefix.push(ident.to_string());
                    }
                    name = prefix.last().cloned().unwrap_or_default();
                }
                TokenTree::Punct(punct) if punct.as_char() == '*' => {
                    line = punct.span().start().line;
                    name = "*".to_owned();
                }
                TokenTree::Group(group) => {
                    let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                    read_use_tree(&inner, prefix, leaves);
                    grouped = true;
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
        }
        if !grouped {
            leaves.push((prefix.clone(), name, line));
        }
        prefix.truncate(depth);
    }
}

fn split_at_commas(tokens: &[TokenTree]) -> impl Iterator<Item = &[TokenTree]> {
    tokens
        .split(|token| matches!(token, TokenTree::Punct(p) if p.as_char() == ','))
        .filter(|part| !part.is_empty())
}

fn is_path_separator(tokens: &[TokenTree], at: usize) -> bool {
    let colon =
        |at: usize| matches!(tokens.get(at), Some(TokenTree::Punct(p)) if p.as_char() == ':');
    colon(at) && colon(at + 1)
}

/// Whether the name at `at` follows one dot (a method or field), not the two of a range.
fn is_method(tokens: &[TokenTree], at: usize) -> bool {
    let dot = |back: usize| {
        at.checked_sub(back)
            .is_some_and(|i| matches!(&tokens[i], TokenTree::Punct(p) if p.as_char() == '.'))
    };
    dot(1) && !dot(2)
}

/// Whether `pub` or `pub(…)` stands right before.
fn is_public(before: &[TokenTree]) -> bool {
    let is_pub = |token: &TokenTree| matches!(token, TokenTree::Ident(i) if i == "pub");
    match before {
        [.., token, TokenTree::Group(_)] | [.., token] => is_pub(token),
        [] => false,
    }
}

/// Whether `[cfg(… test …)]` follows, but not `not(test)`.
fn is_cfg_test(after: &[TokenTree]) -> bool {
    let Some(TokenTree::Group(attribute)) = after.first() else { return false };
    let text = attribute.stream().to_string().replace(' ', "");
    text == "cfg(test)" || (text.starts_with("cfg(all(") && text.contains("test,"))
}
