//! The images that a Dockerfile builds from and copies out of.
//!
//! Dockerfile reference: "Parser directives", "FROM", "COPY --from", "RUN --mount", "Here-Documents",
//! "Environment replacement". What cannot be told for certain is an error: another image than the one
//! that is built from must not be verified in its stead.

use std::collections::BTreeMap;

/// The images of a Dockerfile.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Images {
    /// Every image, once, in the order in which they are named.
    pub(super) all: Vec<Image>,
    /// What the last stage is built from, through the stages between; `None` from scratch.
    pub(super) base: Option<String>,
}

/// An image that is named.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Image {
    pub(super) name: String,
    /// What it is first used for.
    pub(super) used: Use,
}

/// What an image is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// `FROM`.
    Base,
    /// `COPY --from` or `RUN --mount=…,from=…`: files of it are taken.
    Files,
}

/// Why it cannot be told which images a Dockerfile names.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum InstructionError {
    /// No stage at all.
    #[error("there is no `FROM` in it")]
    NoStage,
    /// A `FROM` without an image, or with more than one.
    #[error("line {line}: wanted `FROM [--platform=…] IMAGE [AS NAME]`")]
    From {
        /// The line that it begins on, counted from 1.
        line: usize,
    },
    /// A variable that nothing gives a value.
    #[error("line {line}: the variable `{name}` has no value")]
    NoValue {
        /// The line.
        line: usize,
        /// The variable.
        name: String,
    },
    /// A substitution that is not known.
    #[error("line {line}: a substitution that is not known, at `{found}`")]
    Substitution {
        /// The line.
        line: usize,
        /// Where, cut to 64 characters.
        found: String,
    },
    /// A variable where builders take none.
    #[error("line {line}: a variable in `from`, where builders substitute none")]
    VariableFrom {
        /// The line.
        line: usize,
    },
}

/// An instruction, its lines joined.
struct Instruction {
    line: usize,
    text: String,
}

/// A stage: its name, if it has one, and the image it is built from in the end.
struct Stage {
    name: Option<String>,
    base: Option<String>,
}

/// Reads a Dockerfile. `lookup` gives the values of build arguments that have none in it.
pub(super) fn images(
    text: &str,
    lookup: impl Fn(&str) -> Option<String>,
) -> Result<Images, InstructionError> {
    let mut arguments = BTreeMap::new();
    let mut stages: Vec<Stage> = Vec::new();
    let mut images = Images::default();
    for Instruction { line, text } in instructions(text) {
        let text = strip_word(&text, "ONBUILD").unwrap_or(&text);
        if let Some(rest) = strip_word(text, "FROM") {
            // The platform does not change which image it is.
            let words = rest.split_whitespace().skip_while(|word| word.starts_with("--"));
            let value = |name: &str| value_of(name, &arguments, &lookup);
            let expanded = expand(&words.collect::<Vec<_>>().join(" "), line, &value)?;
            let (image, name) = parse_from(&expanded).ok_or(InstructionError::From { line })?;
            let base = match find(&stages, image) {
                Some(stage) => stage.base.clone(),
                None if image.eq_ignore_ascii_case("scratch") => None,
                None => {
                    add(&mut images, image, Use::Base);
                    Some(image.to_owned())
                }
            };
            images.base.clone_from(&base);
            stages.push(Stage { name: name.map(str::to_owned), base });
        } else if let Some(rest) = strip_word(text, "ARG") {
            // Only those before the first stage count in FROM.
            if stages.is_empty() {
                for word in rest.split_whitespace() {
                    let Some((name, default)) = word.split_once('=') else { continue };
                    let value = |name: &str| value_of(name, &arguments, &lookup);
                    let default = expand(unquoted(default), line, &value)?;
                    arguments.insert(name.to_owned(), default);
                }
            }
        } else {
            for from in sources(text) {
                if from.contains('$') {
                    return Err(InstructionError::VariableFrom { line });
                }
                let is_number = from.bytes().all(|byte| byte.is_ascii_digit());
                if !is_number && find(&stages, from).is_none() {
                    add(&mut images, from, Use::Files);
                }
            }
        }
    }
    if stages.is_empty() { Err(InstructionError::NoStage) } else { Ok(images) }
}

/// The value of a build argument: as it stands in the file, else as the build is given it.
fn value_of(
    name: &str,
    arguments: &BTreeMap<String, String>,
    lookup: impl Fn(&str) -> Option<String>,
) -> Option<String> {
    arguments.get(name).cloned().or_else(|| lookup(name))
}

fn add(images: &mut Images, name: &str, used: Use) {
    if !images.all.iter().any(|known| known.name == name) {
        images.all.push(Image { name: name.to_owned(), used });
    }
}

fn find<'s>(stages: &'s [Stage], name: &str) -> Option<&'s Stage> {
    let is_it =
        |stage: &&Stage| stage.name.as_ref().is_some_and(|own| own.eq_ignore_ascii_case(name));
    stages.iter().rev().find(is_it)
}

/// Image and stage name.
fn parse_from(text: &str) -> Option<(&str, Option<&str>)> {
    let mut words = text.split_whitespace();
    let image = words.next()?;
    let name = match words.next() {
        None => None,
        Some(word) if word.eq_ignore_ascii_case("AS") => Some(words.next()?),
        Some(_) => return None,
    };
    words.next().is_none().then_some((image, name))
}

/// What `COPY --from=…` and `RUN --mount=…,from=…` name.
fn sources(text: &str) -> Vec<&str> {
    let mut words = text.split_whitespace();
    let instruction = words.next().unwrap_or_default().to_ascii_uppercase();
    let flags = words.take_while(|word| word.starts_with("--"));
    match instruction.as_str() {
        "COPY" | "ADD" => {
            flags.filter_map(|flag| Some(unquoted(flag.strip_prefix("--from=")?))).collect()
        }
        "RUN" => flags
            .filter_map(|flag| flag.strip_prefix("--mount="))
            .flat_map(|mount| mount.split(','))
            .filter_map(|option| Some(unquoted(option.strip_prefix("from=")?)))
            .collect(),
        _ => Vec::new(),
    }
}

/// The rest of the text after that word.
fn strip_word<'t>(text: &'t str, word: &str) -> Option<&'t str> {
    let (first, rest) = text.split_once(char::is_whitespace)?;
    first.eq_ignore_ascii_case(word).then_some(rest)
}

fn unquoted(text: &str) -> &str {
    let inner = |quote| text.strip_prefix(quote)?.strip_suffix(quote);
    inner('"').or_else(|| inner('\'')).unwrap_or(text)
}

/// The instructions: without comments and the content of here-documents, with continued lines
/// joined.
fn instructions(text: &str) -> Vec<Instruction> {
    let escape = escape(text);
    let mut found = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let mut joined = String::new();
        let mut next = Some(line);
        while let Some(line) = next.take() {
            let line = line.trim();
            // Comments and empty lines do not end what is continued.
            let is_comment = line.starts_with('#');
            match line.strip_suffix(escape) {
                Some(continued) if !is_comment => {
                    joined.push_str(continued);
                    joined.push(' ');
                    next = lines.next().map(|(_, line)| line);
                }
                _ if (is_comment || line.is_empty()) && !joined.is_empty() => {
                    next = lines.next().map(|(_, line)| line);
                }
                _ if is_comment => {}
                _ => joined.push_str(line),
            }
        }
        let joined = joined.trim();
        if joined.is_empty() {
            continue;
        }
        for (end, strips) in here_documents(joined) {
            for (_, line) in lines.by_ref() {
                let line = if strips { line.trim_start_matches('\t') } else { line };
                if line == end {
                    break;
                }
            }
        }
        found.push(Instruction { line: number + 1, text: joined.to_owned() });
    }
    found
}

/// The character that continues lines: a directive in the first comments may change it.
fn escape(text: &str) -> char {
    for line in text.lines().map(str::trim) {
        let Some((name, value)) = line.strip_prefix('#').and_then(|line| line.split_once('='))
        else {
            break;
        };
        if name.trim().eq_ignore_ascii_case("escape") && value.trim() == "`" {
            return '`';
        }
    }
    '\\'
}

/// How the here-documents of an instruction end, and whether tabs before that are passed over.
fn here_documents(instruction: &str) -> Vec<(String, bool)> {
    let takes_them = ["RUN", "COPY", "ADD"].map(|word| strip_word(instruction, word).is_some());
    if !takes_them.contains(&true) {
        return Vec::new();
    }
    let words = instruction.split_whitespace().filter_map(|word| {
        // Before `<<` may stand the number of a file.
        let word = word.trim_start_matches(|character: char| character.is_ascii_digit());
        let rest = word.strip_prefix("<<")?;
        let (strips, rest) = match rest.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        let end = unquoted(rest);
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
        (!end.is_empty() && end.bytes().all(is_name)).then(|| (end.to_owned(), strips))
    });
    words.collect()
}

/// Puts the values of variables in their places: `$name`, `${name}`, `${name:-else}` and
/// `${name:+instead}`.
fn expand(
    text: &str,
    line: usize,
    value: &impl Fn(&str) -> Option<String>,
) -> Result<String, InstructionError> {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        expanded.push_str(&rest[..at]);
        let found = || rest[at..].chars().take(64).collect::<String>();
        let after = &rest[at + 1..];
        let unknown = || InstructionError::Substitution { line, found: found() };
        let is_name = |character: char| character.is_ascii_alphanumeric() || character == '_';
        let (inside, next) = match after.strip_prefix('{') {
            Some(inside) => inside.split_once('}').ok_or_else(unknown)?,
            None => after.split_at(after.find(|it| !is_name(it)).unwrap_or(after.len())),
        };
        let end = inside.find(|character| !is_name(character)).unwrap_or(inside.len());
        let (name, modifier) = inside.split_at(end);
        if name.is_empty() {
            return Err(unknown());
        }
        let given = value(name).filter(|value| !value.is_empty());
        let no_value = || InstructionError::NoValue { line, name: name.to_owned() };
        let put = match (modifier.get(..2), modifier.get(2..)) {
            _ if modifier.is_empty() => given.ok_or_else(no_value)?,
            (Some(":-"), Some(default)) => given.unwrap_or_else(|| default.to_owned()),
            (Some(":+"), Some(instead)) => given.map(|_| instead.to_owned()).unwrap_or_default(),
            _ => return Err(unknown()),
        };
        if put.contains('$') {
            return Err(unknown());
        }
        expanded.push_str(&put);
        rest = next;
    }
    expanded.push_str(rest);
    Ok(expanded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Images, InstructionError> {
        images(text, |name| (name == "FROM_BUILD").then(|| "given".to_owned()))
    }

    fn check(text: &str, all: &[&str], base: Option<&str>) {
        let images = read(text).unwrap();
        let names: Vec<_> = images.all.iter().map(|image| image.name.as_str()).collect();
        assert_eq!((names.as_slice(), images.base.as_deref()), (all, base), "{text}");
    }

    #[test]
    fn images_are_what_is_built_from() {
        check("FROM alpine", &["alpine"], Some("alpine"));
        check("from --platform=$BUILDPLATFORM a/b:1 as x\nRUN true", &["a/b:1"], Some("a/b:1"));
        check("FROM a AS one\nFROM b AS two\nFROM One", &["a", "b"], Some("a"));
        check("FROM a AS one\nFROM scratch\nCOPY --from=one / /", &["a"], None);
        check(
            "FROM a\nFROM b\nCOPY --from=0 / /\nCOPY --from=c:1 / /",
            &["a", "b", "c:1"],
            Some("b"),
        );
        check("FROM a\nRUN --mount=type=bind,from=d,target=/x true", &["a", "d"], Some("a"));
        check("FROM a\nONBUILD COPY --from=e / /\nADD --chown=1 x y", &["a", "e"], Some("a"));
        check("FROM a\nFROM a", &["a"], Some("a"));
    }

    #[test]
    fn what_only_looks_like_an_instruction_is_none() {
        check(
            "# FROM no\nFROM a\n  # FROM no\nRUN echo \\\n  # a comment\n  FROM no",
            &["a"],
            Some("a"),
        );
        check(
            "FROM a\nRUN <<EOF\nFROM no\nCOPY --from=no / /\nEOF\nFROM b",
            &["a", "b"],
            Some("b"),
        );
        check(
            "FROM a\nCOPY <<-\"X\" <<Y /\nFROM no\n\tX\nFROM no\nY\nFROM b",
            &["a", "b"],
            Some("b"),
        );
        check("FROM \\\n  a \\\n  AS x", &["a"], Some("a"));
        check("# escape=`\nFROM `\n a\nRUN c:\\\nFROM b", &["a", "b"], Some("b"));
        check("FROM a\nRUN cp --from=no x\nLABEL x=FROM", &["a"], Some("a"));
    }

    #[test]
    fn variables_are_those_that_count_in_from() {
        check("ARG V=1\nFROM a:$V", &["a:1"], Some("a:1"));
        check("ARG V=1\nARG W=\"x${V}y\"\nFROM a:${W}", &["a:x1y"], Some("a:x1y"));
        check("FROM a:${NONE:-2}", &["a:2"], Some("a:2"));
        check("FROM a${FROM_BUILD:+-slim}", &["a-slim"], Some("a-slim"));
        check("ARG FROM_BUILD\nFROM a:$FROM_BUILD", &["a:given"], Some("a:given"));
        // Inside a stage they are another's.
        let error = read("FROM a\nARG V=1\nENV V=1\nFROM b:$V").unwrap_err();
        assert_eq!(error, InstructionError::NoValue { line: 4, name: "V".to_owned() });
    }

    #[test]
    fn what_cannot_be_told_is_an_error() {
        for (text, wanted) in [
            ("# FROM a", InstructionError::NoStage),
            ("FROM a b", InstructionError::From { line: 1 }),
            ("FROM a AS", InstructionError::From { line: 1 }),
            ("\nFROM --platform=x", InstructionError::From { line: 2 }),
            ("FROM $X", InstructionError::NoValue { line: 1, name: "X".to_owned() }),
            ("FROM a\nCOPY --from=$X / /", InstructionError::VariableFrom { line: 2 }),
        ] {
            assert_eq!(read(text), Err(wanted), "{text}");
        }
        for bad in ["FROM a:${X", "FROM a:${X%y}", "FROM a:$", "FROM a:${}", "ARG V='$'\nFROM a:$V"]
        {
            let error = read(bad).unwrap_err();
            assert!(matches!(error, InstructionError::Substitution { .. }), "{bad}: {error}");
        }
    }
}
