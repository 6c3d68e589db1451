//! Rego: the query is `data.signature.allow`, as in Cosign, and `input` one statement. Who signed
//! and when stands in `data.countersign`.
//!
//! Open Policy Agent documentation, "Policy Language"; evaluated by `regorus`. That library answers
//! `http.send` with Undefined, so that `not denied` would hold for want of an answer; here every
//! function that is called must be in a list of those that only compute, or be the policy's own, or
//! the policy is refused. Time is what the judge says it is: `time.now_ns` and
//! `time.parse_rfc3339_ns` are ours.

mod nesting;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

use regorus::Value;
use regorus::utils::limits::ExecutionTimerConfig;
use serde_json::Value as Json;
use verify::predicate::Objection;

use super::{BadProgram, Engine, Facts, Watch, failed, words};

/// Steps between looks at the clock.
const TIME_CHECK_INTERVAL: NonZeroU32 = NonZeroU32::new(64).expect("64 is not zero");

/// What the policy is called in the library's errors.
const FILE: &str = "policy.rego";
/// What is asked.
const QUERY: &str = "data.signature.allow";
const PACKAGE: &str = "data.signature";

/// Most rules of a policy: each is compared with every reference.
const RULES_MAX: usize = 512;
/// Most rules that lead on from one to the next: the library follows them by recursion, and a stack
/// that overflows ends the process. With brackets as deep as they may be, it bears twice as many.
const CHAIN_MAX: usize = 32;

/// Functions that a policy may call, beside its own. Left out beside what `regorus` has not:
/// whatever asks the world (`http.send`, `net.*`, `opa.runtime`, `rand.intn`), and whatever makes
/// much of a small number, which the statement may choose (`numbers.range`, `bits.lsh`,
/// `units.parse`).
pub const FUNCTIONS: &[&str] = &[
    "abs",
    "array.concat",
    "array.reverse",
    "array.slice",
    "base64.decode",
    "base64.encode",
    "base64.is_valid",
    "base64url.decode",
    "base64url.encode",
    "base64url.encode_no_pad",
    "ceil",
    "concat",
    "contains",
    "count",
    "endswith",
    "floor",
    "format_int",
    "glob.match",
    "glob.quote_meta",
    "hex.decode",
    "hex.encode",
    "indexof",
    "indexof_n",
    "intersection",
    "is_array",
    "is_boolean",
    "is_null",
    "is_number",
    "is_object",
    "is_set",
    "is_string",
    "json.filter",
    "json.is_valid",
    "json.marshal",
    "json.remove",
    "json.unmarshal",
    "lower",
    "max",
    "min",
    "object.filter",
    "object.get",
    "object.keys",
    "object.remove",
    "object.subset",
    "object.union",
    "object.union_n",
    "print",
    "product",
    "regex.find_all_string_submatch_n",
    "regex.find_n",
    "regex.is_valid",
    "regex.match",
    "regex.replace",
    "regex.split",
    "replace",
    "round",
    "semver.compare",
    "semver.is_valid",
    "sort",
    "split",
    "sprintf",
    "startswith",
    "strings.any_prefix_match",
    "strings.any_suffix_match",
    "strings.count",
    "strings.replace_n",
    "strings.reverse",
    "substring",
    "sum",
    "time.now_ns",
    "time.parse_rfc3339_ns",
    "to_number",
    "trace",
    "trim",
    "trim_left",
    "trim_prefix",
    "trim_right",
    "trim_space",
    "trim_suffix",
    "type_name",
    "union",
    "upper",
];

/// A version of the language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// Before Open Policy Agent 1.0: `allow { … }`. The later words come with
    /// `import future.keywords` or `import rego.v1`.
    V0,
    /// Since 1.0: `allow if { … }`.
    V1,
}

/// A loaded policy.
#[derive(Clone)]
pub struct Rego(regorus::Engine);

impl std::fmt::Debug for Rego {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Rego")
    }
}

impl Rego {
    /// Loads a policy of one module, `package signature`.
    ///
    /// # Errors
    /// When it does not parse or compile, is another package, has no rule `allow`, or calls a
    /// function that is not offered.
    pub fn load(text: &str, version: Version) -> Result<Self, BadProgram> {
        nesting::check(text)?;
        let mut engine = regorus::Engine::new();
        engine.set_rego_v0(version == Version::V0);
        engine.set_strict_builtin_errors(true);
        engine.set_gather_prints(true);
        let package = engine.add_policy(FILE.to_owned(), text.to_owned()).map_err(|error| {
            let mut bad = explain(&error.to_string());
            // The commonest mistake, since Open Policy Agent 1.0 reads the other version.
            if version == Version::V0 && Self::load(text, Version::V1).is_ok() {
                bad.problem.push_str("; it is written for Rego v1: say `import rego.v1`");
            }
            bad
        })?;
        if package != PACKAGE {
            let problem = format!("wanted `package signature`, found `{}`", words(&package));
            return Err(BadProgram::new(problem));
        }
        check_calls(&engine)?;
        // Compiles, so that what cannot be evaluated is found now.
        let mut trial = engine.clone();
        give_time(&mut trial, 0)?;
        trial
            .compile_with_entrypoint(&QUERY.into())
            .map_err(|error| explain(&error.to_string()))?;
        Ok(Self(engine))
    }
}

impl Engine for Rego {
    fn decide(&self, input: &str, facts: &Facts, watch: Watch) -> Result<(), Objection> {
        let fail = |error: &dyn std::fmt::Display| failed(words(&error.to_string()));
        let mut engine = self.0.clone();
        engine.set_execution_timer_config(ExecutionTimerConfig {
            limit: watch.time_max,
            check_interval: TIME_CHECK_INTERVAL,
        });
        give_time(&mut engine, facts.now).map_err(|error| fail(&error))?;
        let told = serde_json::json!({"countersign": facts.to_json()}).to_string();
        let told = Value::from_json_str(&told).map_err(|error| fail(&error))?;
        engine.add_data(told).map_err(|error| fail(&error))?;
        engine.set_input(Value::from_json_str(input).map_err(|error| fail(&error))?);
        let results = engine.eval_query(QUERY.to_owned(), false).map_err(|error| fail(&error))?;
        // Exactly one answer, and that is `true`: an undefined one is no.
        let allowed = match results.result.as_slice() {
            [only] => match only.expressions.as_slice() {
                [answer] => answer.value == Value::Bool(true),
                _ => false,
            },
            _ => false,
        };
        if allowed {
            return Ok(());
        }
        let prints = engine.take_prints().unwrap_or_default();
        let said = prints.iter().take(SAID_MAX).map(|line| words(line)).collect();
        Err(Objection::Refused { said })
    }
}

/// Most lines of `print` that are repeated.
const SAID_MAX: usize = 8;

/// The functions of time, which the library would answer from this machine's clock.
fn give_time(engine: &mut regorus::Engine, now: i64) -> Result<(), BadProgram> {
    let now_ns = i128::from(now) * 1_000_000_000;
    let now_ns = i64::try_from(now_ns).map_err(|_| BadProgram::new("no calendar holds this"))?;
    let add = |engine: &mut regorus::Engine, name: &str, arguments, function| {
        engine
            .add_extension(name.to_owned(), arguments, function)
            .map_err(|error| BadProgram::new(words(&error.to_string())))
    };
    let tell = move |_: Vec<Value>| Ok(Value::from(now_ns));
    add(engine, "time.now_ns", 0, Box::new(tell))?;
    let parse = |arguments: Vec<Value>| {
        // What is no time has no value, as in Open Policy Agent; the rule then does not hold.
        let text = arguments.first().and_then(|text| text.as_string().ok());
        let time = text.and_then(|text| text.parse::<jiff::Timestamp>().ok());
        let nanoseconds = time.and_then(|time| i64::try_from(time.as_nanosecond()).ok());
        nanoseconds
            .map(Value::from)
            .ok_or_else(|| std::io::Error::other("not a time of RFC 3339").into())
    };
    add(engine, "time.parse_rfc3339_ns", 1, Box::new(parse))
}

/// Refuses calls of functions that are not offered, and rules that lead back to themselves: Open
/// Policy Agent refuses those too, while `regorus` would follow them until the stack is full.
fn check_calls(engine: &regorus::Engine) -> Result<(), BadProgram> {
    let unreadable = || BadProgram::new("the policy's structure cannot be read");
    let tree = engine.get_ast_as_json().map_err(|_| unreadable())?;
    // The tree is our library's own text: what is wrong with it is how deep it nests.
    let tree: Json = serde_json::from_str(&tree).map_err(|_| {
        BadProgram::new("an expression nests too deep; name parts of it by rules of their own")
    })?;
    let rules = tree.pointer("/0/ast/rules").and_then(Json::as_array).ok_or_else(unreadable)?;
    if rules.len() > RULES_MAX {
        return Err(BadProgram::new(format!("more than {RULES_MAX} rules")));
    }
    let names = rules.iter().map(|rule| head(rule).ok_or_else(unreadable));
    let names = names.collect::<Result<Vec<_>, _>>()?;
    let mut refers: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (rule, name) in rules.iter().zip(&names) {
        each_node(rule, &mut |kind, node| {
            if kind == "Call" {
                check_call(node, &names)?;
            }
            Ok(())
        })?;
        let body = rule.pointer("/Spec/bodies").into_iter().chain(rule.pointer("/Spec/head"));
        for part in body {
            each_reference(part, &mut |path| {
                let path = within_package(&path);
                // A rule's own head names it without asking for it.
                let asked = names.iter().filter(|name| leads_to(path, name));
                refers.entry(name.as_str()).or_default().extend(asked.cloned());
            });
        }
        // Its own name stands in its head once.
        if !asks_for_itself(rule, name) {
            refers.entry(name.as_str()).or_default().remove(name);
        }
    }
    for (rule, name) in rules.iter().zip(&names) {
        if is_in_a_circle(name, &refers) {
            let problem = format!("the rule `{}` leads back to itself", words(name));
            return Err(BadProgram { line: first_line(rule), problem });
        }
    }
    let mut chains = BTreeMap::new();
    for (rule, name) in rules.iter().zip(&names) {
        if chain_from(name, &refers, &mut chains) > CHAIN_MAX {
            let problem = format!("`{}` begins more than {CHAIN_MAX} rules in a row", words(name));
            return Err(BadProgram { line: first_line(rule), problem });
        }
    }
    Ok(())
}

/// How many rules lead on from one to the next, beginning with this one. None leads back to itself,
/// so that the recursion, which is at most [`RULES_MAX`] deep, ends.
fn chain_from<'r>(
    name: &'r str,
    refers: &'r BTreeMap<&str, BTreeSet<String>>,
    known: &mut BTreeMap<&'r str, usize>,
) -> usize {
    if let Some(known) = known.get(name) {
        return *known;
    }
    let below = refers.get(name).into_iter().flatten();
    let longest = below.map(|next| chain_from(next, refers, known)).max().unwrap_or_default();
    known.insert(name, longest + 1);
    longest + 1
}

fn check_call(node: &Json, names: &[String]) -> Result<(), BadProgram> {
    let called = node.get("fcn").and_then(path);
    let called = called.ok_or_else(|| BadProgram::new("a call of what is no name"))?;
    let own = names.iter().any(|name| name == within_package(&called));
    if own || FUNCTIONS.contains(&called.as_str()) {
        return Ok(());
    }
    let problem = format!("the function `{}` is not offered here", words(&called));
    Err(BadProgram { line: line(node), problem })
}

fn within_package(path: &str) -> &str {
    path.strip_prefix("data.signature.").unwrap_or(path)
}

/// Whether a reference asks for that rule, for a part of it, or for what it is a part of.
fn leads_to(path: &str, rule: &str) -> bool {
    let below = |path: &str, rule: &str| {
        path.strip_prefix(rule).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    below(path, rule) || below(rule, path)
}

/// Whether the rule's name stands in it more than the once that its head needs.
fn asks_for_itself(rule: &Json, name: &str) -> bool {
    let mut count = 0_usize;
    each_reference(rule, &mut |path| count += usize::from(leads_to(within_package(&path), name)));
    count > 1
}

fn is_in_a_circle(name: &str, refers: &BTreeMap<&str, BTreeSet<String>>) -> bool {
    let mut seen = BTreeSet::new();
    let mut waiting = vec![name];
    while let Some(next) = waiting.pop() {
        for asked in refers.get(next).into_iter().flatten() {
            if asked == name {
                return true;
            }
            if seen.insert(asked.as_str()) {
                waiting.push(asked);
            }
        }
    }
    false
}

/// What a rule is called.
fn head(rule: &Json) -> Option<String> {
    let named = match rule.pointer("/Spec/head") {
        Some(head) => head.as_object()?.values().next()?,
        None => rule.get("Default")?,
    };
    let name = named.get("refr").and_then(path_before_brackets)?;
    Some(within_package(&name).to_owned())
}

/// Visits every reference, whole, with what stands in brackets left out and visited by itself.
fn each_reference(tree: &Json, visit: &mut dyn FnMut(String)) {
    match tree {
        Json::Object(fields) => {
            if let Some(path) = path(tree) {
                visit(path);
                return;
            }
            fields.values().for_each(|below| each_reference(below, visit));
        }
        Json::Array(items) => items.iter().for_each(|item| each_reference(item, visit)),
        _ => {}
    }
}

/// The name of a rule such as `found[x]`, whose key is no part of it.
fn path_before_brackets(reference: &Json) -> Option<String> {
    match reference.get("RefBrack") {
        Some(bracket) => path_before_brackets(bracket.get("refr")?),
        None => path(reference),
    }
}

fn first_line(rule: &Json) -> Option<usize> {
    rule.get("Spec").or(rule.get("Default")).and_then(line)
}

/// Visits every `{"Name": {…}}` of the tree.
fn each_node<'t>(
    tree: &'t Json,
    visit: &mut dyn FnMut(&str, &'t Json) -> Result<(), BadProgram>,
) -> Result<(), BadProgram> {
    match tree {
        Json::Object(fields) => fields.iter().try_for_each(|(name, below)| {
            visit(name, below)?;
            each_node(below, visit)
        }),
        Json::Array(items) => items.iter().try_for_each(|item| each_node(item, visit)),
        _ => Ok(()),
    }
}

/// A name such as `time.now_ns` from the reference that spells it.
fn path(reference: &Json) -> Option<String> {
    if let Some(variable) = reference.get("Var") {
        return last_text(variable);
    }
    let dot = reference.get("RefDot")?;
    let before = path(dot.get("refr")?)?;
    let field = last_text(dot.get("field")?)?;
    Some(format!("{before}.{field}"))
}

/// The last text below a node: behind the place where it stands comes what stands there.
fn last_text(node: &Json) -> Option<String> {
    match node {
        Json::String(text) => Some(text.clone()),
        Json::Array(items) => items.iter().rev().find_map(last_text),
        Json::Object(fields) => fields.get("value").and_then(last_text),
        _ => None,
    }
}

fn line(node: &Json) -> Option<usize> {
    let line = node.get("span").and_then(|span| span.get("line")).and_then(Json::as_u64)?;
    usize::try_from(line).ok()
}

/// The library's error, which shows the text around it, as one line; and the line it names.
fn explain(error: &str) -> BadProgram {
    // `--> policy.rego:LINE:COLUMN`, then the text, then `error: …`.
    let place = error.split(FILE).nth(1).and_then(|place| place.strip_prefix(':'));
    let digits = place.and_then(|place| place.split(':').next());
    let line = digits.and_then(|digits| digits.parse().ok());
    BadProgram { line, problem: words(error.rsplit("error: ").next().unwrap_or(error)) }
}
