//! The command line as scripts written for Cosign spell it.
//!
//! Cosign reads its flags with Go's `pflag`: a switch takes `=true` and `=false`, old spellings go on
//! working, and every flag can stand in a variable `COSIGN_…`. The commands say only what they want;
//! this makes all of them be spelled that way.

mod retired;
#[cfg(test)]
mod table;

use std::any::TypeId;
use std::collections::BTreeSet;
use std::ffi::OsString;

use clap::builder::{OsStr, Resettable, StringValueParser, TypedValueParser};
use clap::{Arg, ArgAction, ArgMatches, Command};

/// Commands that Cosign does not have. Their variables begin with our name.
const OURS: &[&str] =
    &["admit", "coverage", "demo", "explain", "man", "policy", "registry", "serve"];

/// Groups of flags that our commands share with Cosign's. Their variables are Cosign's everywhere: a
/// login is set once for all commands.
const SHARED: &[&str] = &["Registry", "Signer", "Trust"];

/// Old spellings that Cosign goes on reading: the flag's name, and what it was.
const OLD_SPELLINGS: &[(&str, &str)] = &[
    ("certificate", "cert"),
    ("certificate-chain", "cert-chain"),
    ("certificate-identity", "cert-identity"),
    ("certificate-oidc-issuer", "cert-oidc-issuer"),
    ("output-certificate", "output-cert"),
];

/// As [`parse`]; of the program only the command that is called is made, where that is enough: making
/// all takes as long as a verification. Whatever it does not understand the whole program is asked,
/// so that help, advice and errors are the same.
///
/// # Errors
/// As of [`parse`], of the whole program.
pub(crate) fn parse_called(
    only: impl Fn(&str) -> Option<Command>,
    whole: impl FnOnce() -> Command,
    arguments: Vec<OsString>,
) -> Result<(ArgMatches, Vec<String>), clap::Error> {
    // It may be a flag's value. Then there is no such command, or it does not fit what follows.
    let called = arguments.iter().skip(1).filter_map(|argument| argument.to_str());
    let called = { called }.find(|argument| !argument.starts_with('-')).and_then(only);
    match called.map(|command| parse(command, arguments.clone())) {
        Some(Ok(parsed)) => Ok(parsed),
        Some(Err(_)) | None => parse(whole(), arguments),
    }
}

/// Reads arguments, the program's name first, and the environment. With them comes what is to be
/// said of flags that do nothing any more.
///
/// # Errors
/// What `clap` says of them; help and version are such errors too.
pub(crate) fn parse(
    command: Command,
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<(ArgMatches, Vec<String>), clap::Error> {
    let arguments: Vec<_> = arguments.into_iter().collect();
    let command = retired::with_retired(command, |name| is_passed(name, &arguments));
    let (arguments, denied) = without_switch_values(&command, arguments);
    let command = spelled_as_cosign(command, &denied);
    let matches = command.try_get_matches_from(arguments)?;
    let notes = retired::notes(&matches);
    Ok((matches, notes))
}

/// The commands with all the spellings, for completion, manual pages and tests.
pub(crate) fn all_spellings(command: Command) -> Command {
    spelled_as_cosign(command, &BTreeSet::new())
}

/// Whether a flag of Cosign's may be among the arguments, or has a variable.
fn is_passed(name: &str, arguments: &[OsString]) -> bool {
    let named = |argument: &OsString| {
        let flag = argument.to_str().and_then(|text| text.strip_prefix("--"));
        flag.is_some_and(|flag| flag == name || flag.split_once('=').is_some_and(|it| it.0 == name))
    };
    arguments.iter().any(named) || std::env::var_os(variable("COSIGN", name)).is_some()
}

/// The variable of a flag.
fn variable(prefix: &str, flag: &str) -> String {
    format!("{prefix}_{}", flag.replace('-', "_").to_uppercase())
}

/// Rewrites `--switch=true` to `--switch`, and leaves `--switch=false` away. Returns the names of
/// the latter too: their variables must not speak up either.
fn without_switch_values(
    command: &Command,
    arguments: Vec<OsString>,
) -> (Vec<OsString>, BTreeSet<String>) {
    let mut levels = vec![command];
    let mut kept = Vec::new();
    let mut denied = BTreeSet::new();
    let mut arguments = arguments.into_iter();
    kept.extend(arguments.next());
    while let Some(argument) = arguments.next() {
        if argument == "--" {
            kept.push(argument);
            kept.extend(arguments);
            break;
        }
        let text = argument.to_str().unwrap_or_default();
        let switch = text.strip_prefix("--").and_then(|text| text.split_once('='));
        let switch = switch.and_then(|(name, value)| {
            let found = levels.iter().rev().find_map(|level| find_switch(level, name))?;
            Some((found, parse_switch(value)?))
        });
        if let Some((name, given)) = switch {
            if given {
                kept.push(format!("--{name}").into());
            } else {
                denied.insert(name);
            }
            continue;
        }
        let level = levels.last().and_then(|level| level.find_subcommand(&argument));
        levels.extend(level);
        kept.push(argument);
    }
    (kept, denied)
}

/// The name of the switch that goes by this name.
fn find_switch(command: &Command, name: &str) -> Option<String> {
    let found = command.get_arguments().find(|argument| argument.get_long() == Some(name))?;
    matches!(found.get_action(), ArgAction::SetTrue).then(|| name.to_owned())
}

/// What Go's `strconv.ParseBool` takes.
fn parse_switch(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

fn spelled_as_cosign(command: Command, denied: &BTreeSet<String>) -> Command {
    let command = command.mut_args(|argument| spelled(argument, "COSIGN", denied));
    command.mut_subcommands(|sub| {
        let ours = OURS.contains(&sub.get_name());
        with_subcommands(sub, if ours { "COUNTERSIGN" } else { "COSIGN" }, denied)
    })
}

fn with_subcommands(command: Command, prefix: &str, denied: &BTreeSet<String>) -> Command {
    let is_login = command.get_name() == "login";
    command
        .mut_args(|argument| {
            let is_password = argument.get_long() == Some("password");
            let argument = spelled(argument, prefix, denied);
            // COSIGN_PASSWORD opens private keys. No registry is to see it.
            if is_login && is_password { argument.env(Resettable::Reset) } else { argument }
        })
        .mut_subcommands(|sub| with_subcommands(sub, prefix, denied))
}

fn spelled(argument: Arg, prefix: &str, denied: &BTreeSet<String>) -> Arg {
    let Some(name) = argument.get_long().map(str::to_owned) else { return argument };
    if matches!(name.as_str(), "help" | "version") {
        return argument;
    }
    let old = OLD_SPELLINGS.iter().find(|(now, _)| *now == name);
    let argument = match old {
        Some((_, old)) => argument.alias(*old),
        None => argument,
    };
    let argument = match argument.get_value_parser().type_id() == TypeId::of::<bool>() {
        true => argument.value_parser(
            StringValueParser::new()
                .try_map(|text| parse_switch(&text).ok_or("it is neither true nor false")),
        ),
        false => argument,
    };
    if denied.contains(&name) {
        return argument.env(Resettable::Reset);
    }
    let shared = argument.get_help_heading().is_some_and(|heading| SHARED.contains(&heading));
    let prefix = if shared { "COSIGN" } else { prefix };
    let argument = match argument.get_env() {
        Some(_) => argument,
        None => argument.env(OsStr::from(variable(prefix, &name))).hide_env(true),
    };
    // CI systems set variables that are empty. As in Cosign, such a one says nothing.
    let empty = |variable| std::env::var_os(variable).is_some_and(|value| value.is_empty());
    match argument.get_env().is_some_and(empty) {
        true => argument.env(Resettable::Reset),
        false => argument,
    }
}

#[cfg(test)]
mod tests {

    use clap::{Args, FromArgMatches, Parser, Subcommand};

    use super::*;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(subcommand)]
        verb: Verb,
    }

    #[derive(Debug, Subcommand)]
    enum Verb {
        Act(Act),
    }

    #[derive(Debug, Args, PartialEq, Eq, Default)]
    struct Act {
        #[arg(long)]
        quick_test_switch: bool,
        #[arg(long)]
        certificate_identity: Option<String>,
        rest: Vec<String>,
    }

    fn read(arguments: &[&str]) -> Result<Act, clap::Error> {
        use clap::CommandFactory;
        let arguments = ["program", "act"].iter().chain(arguments).map(OsString::from);
        let (matches, _) = parse(Program::command(), arguments)?;
        let Verb::Act(act) = Program::from_arg_matches(&matches)?.verb;
        Ok(act)
    }

    #[test]
    fn a_switch_takes_a_value_as_in_go() {
        for (text, given) in [
            ("--quick-test-switch", true),
            ("--quick-test-switch=true", true),
            ("--quick-test-switch=1", true),
            ("--quick-test-switch=False", false),
        ] {
            assert_eq!(read(&[text]).unwrap().quick_test_switch, given, "{text}");
        }
        assert!(read(&["--quick-test-switch=maybe"]).is_err());
        // What follows two dashes is no flag.
        let act = read(&["--", "--quick-test-switch=true"]).unwrap();
        assert_eq!((act.quick_test_switch, act.rest.len()), (false, 1));
    }

    #[test]
    fn old_spellings_are_read() {
        let act = read(&["--cert-identity", "x"]).unwrap();
        assert_eq!(act.certificate_identity.as_deref(), Some("x"));
    }

    /// Reads them; which programs were made for it.
    fn read_called(line: &str) -> (Vec<String>, Result<String, clap::Error>) {
        let made = std::cell::RefCell::new(Vec::new());
        let commands = |names: &[&'static str]| {
            made.borrow_mut().push(names.join(" "));
            let flag = Arg::new("flag").long("flag");
            let commands = names.iter().map(|&name| Command::new(name).arg(Arg::new(name)));
            let program = Command::new("program").arg(flag).subcommand_required(true);
            commands.fold(program, Command::subcommand)
        };
        let only = |name: &str| ["one", "two"].into_iter().find(|it| *it == name);
        let only = |name: &str| only(name).map(|name| commands(&[name]));
        let words = line.split(' ').map(OsString::from).collect();
        let parsed = parse_called(only, || commands(&["one", "two"]), words);
        let called = parsed.map(|(matches, _)| matches.subcommand_name().unwrap().to_owned());
        (made.into_inner(), called)
    }

    #[test]
    fn only_the_command_that_is_called_is_made() {
        for (line, name) in [
            ("program one", "one"),
            ("program two value", "two"),
            ("program --flag=two one two", "one"),
            ("program --flag one one", "one"),
        ] {
            let (made, called) = read_called(line);
            assert_eq!((called.unwrap(), made), (name.to_owned(), vec![name.to_owned()]), "{line}");
        }
    }

    #[test]
    fn what_one_command_does_not_understand_the_whole_program_is_asked() {
        // The first is a flag's value that could be a command.
        for line in ["program --flag two one", "program --flag x one"] {
            let (made, called) = read_called(line);
            assert_eq!(
                (called.unwrap().as_str(), made.last().unwrap().as_str()),
                ("one", "one two")
            );
        }
        for line in
            ["program", "program on", "program one --absent", "program --help", "program help"]
        {
            let (made, error) = read_called(line);
            assert_eq!(made.last().unwrap(), "one two", "{line}");
            let whole = ["one", "two"].map(|name| Command::new(name).arg(Arg::new(name)));
            let whole = Command::new("program")
                .arg(Arg::new("flag").long("flag"))
                .subcommand_required(true)
                .subcommands(whole);
            let wanted = parse(whole, line.split(' ').map(OsString::from)).unwrap_err();
            assert_eq!(error.unwrap_err().to_string(), wanted.to_string(), "{line}");
        }
    }

    #[test]
    fn every_flag_has_a_variable() {
        use clap::CommandFactory;
        let variable = |denied: &[&str]| {
            let denied = denied.iter().map(|&name| name.to_owned()).collect();
            let command = spelled_as_cosign(Program::command(), &denied);
            let act = command.find_subcommand("act").unwrap();
            let switch = act.get_arguments().find(|arg| arg.get_id() == "quick_test_switch");
            switch.unwrap().get_env().map(std::ffi::OsStr::to_owned)
        };
        assert_eq!(variable(&[]).unwrap(), "COSIGN_QUICK_TEST_SWITCH");
        assert_eq!(variable(&["quick-test-switch"]), None, "what was denied stays denied");
    }
}
