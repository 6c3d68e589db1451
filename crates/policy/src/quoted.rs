//! What stands in a policy, as a message quotes it.

/// At most 80 characters of what was found, for a message; control characters escaped.
pub(crate) fn cut(found: &str) -> String {
    let mut shown: String = found.chars().take(80).flat_map(char::escape_debug).collect();
    if found.chars().nth(80).is_some() {
        shown.push('…');
    }
    shown
}
