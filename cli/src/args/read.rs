//! From the words of a command line to [`Cli`].
//!
//! Read in two steps, as the AWS CLI does: global options out of all words first,
//! then those of the command out of what is left.

use std::ffi::OsString;

use clap::{Arg, ArgAction, Command, Parser as _};

use super::argparse::{self, Spec, Takes, Word};
use super::{Cli, definition};
use crate::failure::Failure;

/// Options that the AWS CLI does not have.
const OWN: [&str; 6] = [
    "--help",
    "--token",
    "--client-cert",
    "--client-key",
    "--verbose-output",
    "--service",
];

const USAGE: &str = "usage: face-liveness [options] <command> [parameters]\n\
    To see help text, you can run:\n\n  \
    face-liveness help\n  \
    face-liveness <command> help\n";

/// What the command line asks for.
#[derive(Debug)]
pub(crate) enum Read {
    /// To do something.
    Run(Box<Cli>),
    /// To print a text: help, or the version.
    Print(String),
}

/// Reads a command line, the program's name first.
///
/// # Errors
/// What is wrong with it, as the AWS CLI tells it.
pub(crate) fn read(line: impl IntoIterator<Item = OsString>) -> Result<Read, Failure> {
    let line = line.into_iter().skip(1);
    let line = line.map(|word| word.to_string_lossy().into_owned());
    let definition = definition();
    let globals = specs(definition.get_arguments());
    let mut outer = parse(&argparse::words(line), &globals)?;
    if has(&outer.options, "--version") || has(&outer.options, "-V") {
        return Ok(Read::Print(definition.render_version()));
    }
    let flag = ["-h", "--help"]
        .into_iter()
        .find(|flag| has(&outer.options, flag));
    let Some(command) = command(&definition, &mut outer, flag.is_some())? else {
        return Ok(Read::Print(help(definition, None, flag)));
    };
    let name = command.get_name().to_owned();
    let asks_help = outer.rest == [Word::Positional("help".to_owned())];
    if asks_help || flag.is_some() {
        return Ok(Read::Print(help(definition, Some(&name), flag)));
    }
    let inner = parse(&outer.rest, &specs(command.get_arguments()))?;
    refuse_unknown(&inner.rest, command.get_positionals().count())?;
    let mut normal = vec!["face-liveness".to_owned()];
    normal.extend(outer.options.into_iter().map(option));
    normal.push(name);
    normal.extend(inner.options.into_iter().map(option));
    normal.extend(inner.rest.into_iter().map(Word::into_text));
    let cli = Cli::try_parse_from(normal).map_err(|error| complaint(&error))?;
    Ok(Read::Run(Box::new(cli)))
}

fn parse(words: &[Word], specs: &[Spec]) -> Result<argparse::Words, Failure> {
    argparse::parse(words, specs).map_err(|error| Failure::usage(USAGE, error))
}

fn has(options: &[(String, Option<String>)], name: &str) -> bool {
    options.iter().any(|(option, _)| option == name)
}

/// Takes the command's name out of the words. Nothing if help for the whole is
/// asked for. `rekognition` in front of it is passed over, so that scripts for
/// the AWS CLI change one word.
fn command<'a>(
    definition: &'a Command,
    words: &mut argparse::Words,
    asks_help: bool,
) -> Result<Option<&'a Command>, Failure> {
    let mut asked = "command";
    let mut name = take_positional(&mut words.rest);
    if name.as_deref() == Some("rekognition") {
        asked = "operation";
        name = take_positional(&mut words.rest);
    }
    let name = match name.as_deref() {
        Some("help") => match take_positional(&mut words.rest) {
            Some(name) => {
                words.rest = vec![Word::Positional("help".to_owned())];
                name
            }
            None => return Ok(None),
        },
        None if asks_help => return Ok(None),
        None => {
            let missing = format!("the following arguments are required: {asked}");
            return Err(Failure::usage(USAGE, missing));
        }
        Some(name) => name.to_owned(),
    };
    match definition.find_subcommand(&name) {
        Some(command) => Ok(Some(command)),
        None => {
            let names = definition.get_subcommands().flat_map(|command| {
                std::iter::once(command.get_name()).chain(command.get_visible_aliases())
            });
            let mut names: Vec<_> = names.map(str::to_owned).collect();
            names.push("help".to_owned());
            let wrong = argparse::check_choice(asked, &name, &names);
            Err(Failure::usage(USAGE, wrong.err().unwrap_or_default()))
        }
    }
}

fn take_positional(words: &mut Vec<Word>) -> Option<String> {
    let at = words
        .iter()
        .position(|word| matches!(word, Word::Positional(_)))?;
    Some(words.remove(at).into_text())
}

/// Refuses options that are left, and more words than the command takes. They are
/// told in the AWS CLI's order: the first word that is no option comes last.
fn refuse_unknown(words: &[Word], positionals: usize) -> Result<(), Failure> {
    let options = words.iter().filter(|word| matches!(word, Word::Option(_)));
    let options = options.count();
    if options == 0 && words.len() <= positionals {
        return Ok(());
    }
    let mut words = words.to_vec();
    let first = take_positional(&mut words);
    let unknown: Vec<_> = words
        .into_iter()
        .map(Word::into_text)
        .chain(first)
        .collect();
    Err(Failure::unknown_options(USAGE, &unknown))
}

fn option((name, value): (String, Option<String>)) -> String {
    match value {
        Some(value) => format!("{name}={value}"),
        None => name,
    }
}

/// The command's own complaints, about values that the AWS CLI does not have.
fn complaint(error: &clap::Error) -> Failure {
    let text = error.to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let first = text.split("\n\n").next().unwrap_or_default();
    Failure::usage(USAGE, first)
}

fn help(definition: Command, command: Option<&str>, flag: Option<&str>) -> String {
    let line = ["face-liveness"].into_iter().chain(command);
    let line = line.chain([flag.unwrap_or("--help")]);
    match definition.try_get_matches_from(line) {
        Err(help) => help.to_string(),
        Ok(_) => String::new(),
    }
}

/// What argparse needs to know of the options.
fn specs<'a>(arguments: impl Iterator<Item = &'a Arg>) -> Vec<Spec> {
    let named = arguments.filter_map(|argument| Some((argument, argument.get_long()?)));
    let mut specs: Vec<_> = named.map(|(argument, name)| spec(argument, name)).collect();
    if specs.iter().any(|spec| spec.name == "--debug") {
        specs.extend(["--version", "--help", "-V", "-h"].map(|name| Spec {
            name: name.to_owned(),
            takes: Takes::Nothing,
            choices: Vec::new(),
            is_aws: !OWN.contains(&name),
        }));
    }
    specs
}

fn spec(argument: &Arg, name: &str) -> Spec {
    let name = format!("--{name}");
    let optional = argument
        .get_num_args()
        .is_some_and(|values| values.min_values() == 0);
    let takes = match argument.get_action() {
        ArgAction::Set if optional => Takes::PerhapsValue,
        ArgAction::Set => Takes::Value,
        _ => Takes::Nothing,
    };
    let choices = match takes {
        Takes::Nothing => Vec::new(),
        _ => argument
            .get_possible_values()
            .iter()
            .map(|value| value.get_name().to_owned())
            .collect(),
    };
    Spec {
        is_aws: !OWN.contains(&name.as_str()),
        name,
        takes,
        choices,
    }
}
