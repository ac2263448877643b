//! Reads words as Python's argparse does for the AWS CLI: options anywhere, `--name
//! value` and `--name=value`, unique beginnings of names, the last of several wins.

/// One option.
#[derive(Clone, Debug)]
pub(super) struct Spec {
    /// With its dashes.
    pub(super) name: String,
    pub(super) takes: Takes,
    /// The words that it takes, any if there are none.
    pub(super) choices: Vec<String>,
    /// Whether the AWS CLI has it; a beginning of a name means these first.
    pub(super) is_aws: bool,
}

/// What follows an option.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Takes {
    Nothing,
    Value,
    PerhapsValue,
}

/// What became of the words.
#[derive(Debug, Default)]
pub(super) struct Words {
    /// Options that are known, with their values.
    pub(super) options: Vec<(String, Option<String>)>,
    /// Everything else, in order.
    pub(super) rest: Vec<Word>,
}

/// A word that is no known option and no value of one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Word {
    /// An option that is not known here.
    Option(String),
    /// Not an option.
    Positional(String),
}

impl Word {
    pub(super) fn into_text(self) -> String {
        match self {
            Self::Option(text) | Self::Positional(text) => text,
        }
    }
}

/// How a word reads, given the options.
enum Meaning<'a> {
    Option(&'a Spec, Option<&'a str>),
    Unknown,
    Positional,
}

/// Takes the options out of the words.
///
/// # Errors
/// argparse's message.
pub(super) fn parse(words: &[Word], specs: &[Spec]) -> Result<Words, String> {
    let meanings: Vec<_> = words
        .iter()
        .map(|word| meaning(word, specs))
        .collect::<Result<_, _>>()?;
    let mut parsed = Words::default();
    let mut at = 0;
    while at < words.len() {
        if let Meaning::Option(spec, explicit) = meanings[at] {
            let next = matches!(meanings.get(at + 1), Some(Meaning::Positional))
                .then(|| words[at + 1].clone().into_text());
            let (value, used) = value(spec, explicit, next)?;
            parsed.options.push((spec.name.clone(), value));
            at += used;
        } else {
            parsed.rest.push(words[at].clone());
            at += 1;
        }
    }
    Ok(parsed)
}

fn meaning<'a>(word: &'a Word, specs: &'a [Spec]) -> Result<Meaning<'a>, String> {
    let text = match word {
        Word::Positional(_) => return Ok(Meaning::Positional),
        Word::Option(text) => text.as_str(),
    };
    if let Some(spec) = specs.iter().find(|spec| spec.name == text) {
        return Ok(Meaning::Option(spec, None));
    }
    let (name, explicit) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (text, None),
    };
    if let Some(spec) = specs.iter().find(|spec| spec.name == name) {
        return Ok(Meaning::Option(spec, explicit));
    }
    if !name.starts_with("--") {
        return Ok(Meaning::Unknown);
    }
    let mut begun: Vec<_> = specs
        .iter()
        .filter(|spec| spec.name.starts_with(name))
        .collect();
    if begun.iter().any(|spec| spec.is_aws) {
        begun.retain(|spec| spec.is_aws);
    }
    match begun.as_slice() {
        [] => Ok(Meaning::Unknown),
        [spec] => Ok(Meaning::Option(spec, explicit)),
        several => {
            let names: Vec<_> = several.iter().map(|spec| spec.name.as_str()).collect();
            let names = names.join(", ");
            Err(format!("ambiguous option: {text} could match {names}"))
        }
    }
}

/// The option's value, and how many words it and its name take.
fn value(
    spec: &Spec,
    explicit: Option<&str>,
    next: Option<String>,
) -> Result<(Option<String>, usize), String> {
    let name = &spec.name;
    let (value, used) = match (spec.takes, explicit, next) {
        (Takes::Nothing, Some(explicit), _) => {
            let explicit = crate::python::quoted(explicit);
            return Err(format!(
                "argument {name}: ignored explicit argument {explicit}"
            ));
        }
        (Takes::Nothing, None, _) | (Takes::PerhapsValue, None, None) => return Ok((None, 1)),
        (_, Some(explicit), _) => (explicit.to_owned(), 1),
        (_, None, Some(next)) => (next, 2),
        (Takes::Value, None, None) => {
            return Err(format!("argument {name}: expected one argument"));
        }
    };
    check_choice(name, &value, &spec.choices)?;
    Ok((Some(value), used))
}

/// The words of a command line. Behind `--` nothing is an option.
pub(super) fn words(line: impl IntoIterator<Item = String>) -> Vec<Word> {
    let mut line = line.into_iter();
    let mut words: Vec<_> = line
        .by_ref()
        .take_while(|word| word != "--")
        .map(word)
        .collect();
    words.extend(line.map(Word::Positional));
    words
}

/// Numbers below zero are values, and so is text with spaces.
fn word(text: String) -> Word {
    let is_value = match text.strip_prefix('-') {
        None | Some("") => true,
        Some(rest) => is_number(rest) || is_prose(&text),
    };
    if is_value {
        Word::Positional(text)
    } else {
        Word::Option(text)
    }
}

/// A name has no spaces; the value behind its `=` may.
fn is_prose(text: &str) -> bool {
    text.split('=')
        .next()
        .is_some_and(|name| name.contains(' '))
}

fn is_number(text: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    match text.split_once('.') {
        Some((whole, fraction)) => digits(whole) && digits(fraction) && !fraction.is_empty(),
        None => digits(text),
    }
}

/// Checks a value against the words that an argument takes.
///
/// # Errors
/// The AWS CLI's list of them, two a line, with what may have been meant.
pub(super) fn check_choice(name: &str, value: &str, choices: &[String]) -> Result<(), String> {
    if choices.is_empty() || choices.iter().any(|choice| choice == value) {
        return Ok(());
    }
    let mut lines = vec!["Invalid choice, valid choices are:\n".to_owned()];
    lines.extend(choices.chunks(2).map(|pair| {
        let columns: Vec<_> = pair.iter().map(|choice| format!("{choice:<40}")).collect();
        columns.join(" | ")
    }));
    let similar = |choice: &&String| strsim::normalized_damerau_levenshtein(value, choice) >= 0.7;
    let similar: Vec<_> = choices.iter().filter(similar).collect();
    if !similar.is_empty() {
        let value = crate::python::quoted(value);
        lines.push(format!("\n\nInvalid choice: {value}, maybe you meant:\n"));
        lines.extend(similar.iter().map(|choice| format!("  * {choice}")));
    }
    Err(format!("argument {name}: {}", lines.join("\n")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(name: &str, takes: Takes) -> Spec {
        Spec {
            name: name.to_owned(),
            takes,
            choices: Vec::new(),
            is_aws: !name.contains("verbose"),
        }
    }

    fn read(line: &[&str]) -> Result<Words, String> {
        let specs = [
            spec("--color", Takes::Value),
            spec("--ca-bundle", Takes::Value),
            spec("--debug", Takes::Nothing),
            spec("--skeleton", Takes::PerhapsValue),
            spec("--version", Takes::Nothing),
            spec("--verbose-output", Takes::Nothing),
        ];
        parse(&words(line.iter().map(|word| (*word).to_owned())), &specs)
    }

    fn options(line: &[&str]) -> Vec<(String, Option<String>)> {
        read(line).unwrap().options
    }

    #[test]
    fn values_stand_behind_a_space_or_an_equals_sign() {
        for (line, value) in [
            (&["--color", "on"][..], Some("on")),
            (&["--color=on"], Some("on")),
            (&["--color="], Some("")),
            (&["--color", ""], Some("")),
            (&["--color=a=b"], Some("a=b")),
            (&["--color", "-3"], Some("-3")),
            (&["--color", "-.5"], Some("-.5")),
            (&["--color", "-"], Some("-")),
            (&["--color", "-a b"], Some("-a b")),
            (&["--colo", "on"], Some("on")),
            (&["--co=on"], Some("on")),
        ] {
            let expected = ("--color".to_owned(), value.map(str::to_owned));
            assert_eq!(options(line), [expected], "{line:?}");
        }
    }

    #[test]
    fn a_value_may_be_left_out_where_it_is_optional() {
        for (line, value) in [
            (&["--skeleton"][..], None),
            (&["--skeleton", "output"], Some("output")),
        ] {
            let expected = ("--skeleton".to_owned(), value.map(str::to_owned));
            assert_eq!(options(line), [expected]);
        }
        assert_eq!(options(&["--skeleton", "--debug"]).len(), 2);
    }

    #[test]
    fn mistakes_are_told_in_argparses_words() {
        for (line, message) in [
            (&["--color"][..], "argument --color: expected one argument"),
            (
                &["--color", "--debug"],
                "argument --color: expected one argument",
            ),
            (&["--color", "--", "x", "--c"], ""),
            (
                &["--c", "x"],
                "ambiguous option: --c could match --color, --ca-bundle",
            ),
            (
                &["--debug=x"],
                "argument --debug: ignored explicit argument 'x'",
            ),
        ] {
            assert_eq!(read(line).err().unwrap_or_default(), message, "{line:?}");
        }
    }

    #[test]
    fn a_beginning_means_an_option_of_the_aws_cli_first() {
        assert_eq!(options(&["--ver"]), [("--version".to_owned(), None)]);
    }

    #[test]
    fn what_is_not_known_stays_in_order() {
        let rest = read(&["a", "--bogus", "--debug", "b", "-x", "--", "--debug"])
            .unwrap()
            .rest;
        let rest: Vec<_> = rest.into_iter().map(Word::into_text).collect();
        assert_eq!(rest, ["a", "--bogus", "b", "-x", "--debug"]);
    }

    #[test]
    fn a_wrong_choice_is_told_with_those_that_there_are() {
        let choices = ["input", "output", "third"].map(str::to_owned);
        let told = check_choice("--x", "outputt", &choices).unwrap_err();
        let expected = "argument --x: Invalid choice, valid choices are:\n\n\
            input                                    | output                                  \n\
            third                                   \n\n\n\
            Invalid choice: 'outputt', maybe you meant:\n\n  * output";
        assert_eq!(told, expected);
    }
}
