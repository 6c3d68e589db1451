//! Words that people may paste into a shell.

/// A word as a POSIX shell takes it.
pub(crate) fn quote(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_@%+=:,./-".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::quote;

    #[test]
    fn a_shell_reads_every_word_as_it_was() {
        for (word, quoted) in [
            ("127.0.0.1:5000/app@sha256:ab", "127.0.0.1:5000/app@sha256:ab"),
            ("github-actions=http://127.0.0.1:1", "github-actions=http://127.0.0.1:1"),
            ("", "''"),
            ("two words", "'two words'"),
            ("it's", r"'it'\''s'"),
            ("a?b&c", "'a?b&c'"),
            ("$HOME", "'$HOME'"),
            ("refs/heads/$(id)`id`", "'refs/heads/$(id)`id`'"),
        ] {
            assert_eq!(quote(word), quoted);
        }
    }
}
