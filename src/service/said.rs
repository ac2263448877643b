//! What AWS said, as the log may have it. AWS repeats what it was sent: the key
//! that a role may not use, the bucket that lies elsewhere, and for a signature
//! that is wrong all headers that were signed, credentials among them.

use crate::session::SessionRequest;

/// The longest text that is written, in bytes.
const MAX_TEXT: usize = 1024;

/// The longest word that is written, in bytes: credentials are longer, names of
/// roles and actions are not.
const MAX_WORD: usize = 128;

/// The shortest word of a request that is looked for, in bytes: a shorter one
/// holds no secret, and would be found in any text.
const MIN_WORD: usize = 6;

/// What stands in the place of what is hidden.
const HIDDEN: &str = "[hidden]";

/// What a caller wrote in its request.
#[derive(Debug)]
pub(super) struct Words(Vec<String>);

impl Words {
    pub(super) fn of(session: &SessionRequest) -> Self {
        let output = session.output.as_ref();
        let prefix = output.and_then(|output| output.key_prefix.as_ref());
        let words = [
            session.kms_key_id.as_ref().map(|key| key.as_str()),
            session.token.as_ref().map(|token| token.as_str()),
            output.map(|output| output.bucket.as_str()),
            prefix.map(|prefix| prefix.as_str()),
        ];
        let words = words.into_iter().flatten();
        Self(words.map(str::to_owned).collect())
    }

    /// `said` without these words, and without what looks like a key, a session
    /// or credentials.
    pub(super) fn hidden_in(&self, said: &str) -> String {
        let mut text = self
            .0
            .iter()
            .filter(|word| word.len() >= MIN_WORD)
            .fold(said.to_owned(), |text, word| text.replace(word, HIDDEN));
        text = words(&text)
            .map(|word| if is_secret(word) { HIDDEN } else { word })
            .collect();
        if text.len() > MAX_TEXT {
            text.truncate(text.floor_char_boundary(MAX_TEXT));
            text.push('…');
        }
        text
    }
}

/// The words, and what stands between them.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let is_of_word = |c: char| c.is_alphanumeric() || "-_./:+=@~%".contains(c);
    let same = move |one: char, other: char| is_of_word(one) && is_of_word(other);
    let mut rest = text;
    std::iter::from_fn(move || {
        let mut places = rest.char_indices();
        let (_, mut last) = places.next()?;
        let end = places.find_map(|(place, next)| {
            let ends = !same(last, next);
            last = next;
            ends.then_some(place)
        });
        let (word, behind) = rest.split_at(end.unwrap_or(rest.len()));
        rest = behind;
        Some(word)
    })
}

fn is_secret(word: &str) -> bool {
    let is_key = word.contains(":kms:") || word.starts_with("alias/");
    let is_access_key = ["AKIA", "ASIA"].iter().any(|kind| word.contains(kind));
    is_key || is_access_key || word.len() > MAX_WORD || holds_uuid(word)
}

/// Sessions and keys have UUIDs for names.
fn holds_uuid(word: &str) -> bool {
    word.as_bytes().windows(36).any(|window| {
        let fits = |(place, byte): (usize, &u8)| match place {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        };
        window.iter().enumerate().all(fits)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hidden(said: &str) -> String {
        let words = ["my-key", "my-token", "my-bucket"].map(str::to_owned);
        Words(words.into()).hidden_in(said)
    }

    #[test]
    fn what_an_operator_needs_stays() {
        let said = "AccessDeniedException: User: arn:aws:sts::111122223333:assumed-role/gateway/i-1 \
                    is not authorized to perform: rekognition:CreateFaceLivenessSession";
        assert_eq!(hidden(said), said);
    }

    #[test]
    fn what_was_sent_is_hidden_and_so_are_keys_sessions_and_credentials() {
        let long = "x".repeat(MAX_WORD + 1);
        for (said, left) in [
            ("no bucket my-bucket/prefix.", "no bucket [hidden]/prefix."),
            ("token 'my-token'", "token '[hidden]'"),
            (
                "on resource: arn:aws:kms:eu-west-1:1:key/abc, no",
                "on resource: [hidden], no",
            ),
            ("key alias/other", "key [hidden]"),
            ("session=0cdf0ea7-8f35-4a45-9e0c-7a3cf0f6d3d2;", "[hidden];"),
            ("Credential=ASIAXYZ/20260101", "[hidden]"),
            (
                &format!("x-amz-security-token:{long}\nhost:a"),
                "[hidden]\nhost:a",
            ),
        ] {
            assert_eq!(hidden(said), left);
        }
    }

    #[test]
    fn a_long_story_is_cut() {
        let told = hidden(&"é ".repeat(MAX_TEXT));
        assert!(told.len() <= MAX_TEXT + '…'.len_utf8());
        assert!(told.ends_with('…'));
    }
}
