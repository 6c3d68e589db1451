//! What every answer tells beside what was asked: the registry's time, and how much it will bear.

use std::collections::BTreeMap;

use evidence::UnixTime;
use reqwest::header::{AGE, DATE, HeaderMap, HeaderName, RETRY_AFTER};

use super::Skew;
use crate::error::printable;

/// Most headers about limits that are kept, and the longest value of one, in characters.
const HEADERS_MAX: usize = 32;
const VALUE_CHARACTERS_MAX: usize = 128;

/// What was seen so far.
#[derive(Debug, Default)]
pub(super) struct Observed {
    pub(super) skew: Option<Skew>,
    /// Headers about limits; `None` as long as there was no answer.
    pub(super) rate_limits: Option<BTreeMap<String, String>>,
}

impl Observed {
    /// Notes what an answer tells that was asked for and came at these times.
    pub(super) fn note(&mut self, headers: &HeaderMap, before: UnixTime, after: UnixTime) {
        let rate_limits = self.rate_limits.get_or_insert_default();
        for (name, value) in headers {
            let fits = rate_limits.len() < HEADERS_MAX || rate_limits.contains_key(name.as_str());
            if fits && is_about_rate(name) {
                let value = String::from_utf8_lossy(value.as_bytes());
                let value = printable(&value, VALUE_CHARACTERS_MAX);
                rate_limits.insert(name.to_string(), value);
            }
        }
        // What a cache had tells when it was first said (RFC 9111 §5.1).
        let date = headers.get(DATE).filter(|_| !headers.contains_key(AGE));
        let date = date.and_then(|text| jiff::fmt::rfc2822::parse(text.to_str().ok()?).ok());
        let Some(date) = date.map(|date| date.timestamp().as_millisecond()) else { return };
        // It may be anywhere in that second (RFC 9110 §6.6.1), and was said after we asked.
        let skew = Skew {
            least_ms: date.saturating_sub(after.milliseconds()),
            most_ms: date.saturating_add(1000).saturating_sub(before.milliseconds()),
        };
        let narrower = match self.skew {
            None => skew,
            Some(known) => Skew {
                least_ms: known.least_ms.max(skew.least_ms),
                most_ms: known.most_ms.min(skew.most_ms),
            },
        };
        // Where no time fits both, several machines answer, or a clock was set; the first stays.
        if narrower.least_ms <= narrower.most_ms {
            self.skew = Some(narrower);
        }
    }
}

/// `RateLimit-Limit` and its kin (IETF draft "RateLimit header fields"), with and without the `X-`
/// that many put before it, Docker Hub's `Docker-RateLimit-Source`, and `Retry-After`.
fn is_about_rate(name: &HeaderName) -> bool {
    let name = name.as_str();
    let bare = name.strip_prefix("x-").unwrap_or(name);
    let bare = bare.strip_prefix("docker-").unwrap_or(bare);
    bare.starts_with("ratelimit") || bare.starts_with("rate-limit") || name == RETRY_AFTER.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(headers: &[(&'static str, &'static str)], before: i64, after: i64) -> Observed {
        let mut observed = Observed::default();
        let headers = headers.iter().map(|&(name, value)| {
            (HeaderName::from_static(name), value.parse().expect("a header"))
        });
        let [before, after] = [before, after].map(UnixTime::from_milliseconds);
        observed.note(&headers.collect(), before, after);
        observed
    }

    #[test]
    fn the_skew_is_told_no_finer_than_it_is_known() {
        // 784111777 in seconds since 1970.
        let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
        let skew = |before, after| seen(&[date], before, after).skew.map(Skew::certain_ms);
        assert_eq!(skew(784_111_777_000, 784_111_777_900), Some(0));
        assert_eq!(skew(784_111_777_999, 784_111_779_000), Some(0), "the second is not over");
        assert_eq!(skew(784_111_717_000, 784_111_718_000), Some(59_000), "theirs is ahead");
        assert_eq!(skew(784_111_838_000, 784_111_840_000), Some(-60_000), "theirs is behind");
        assert_eq!(seen(&[date, ("age", "5")], 0, 0).skew, None, "a cache's answer is old");
        assert_eq!(seen(&[("date", "today")], 0, 0).skew, None);
    }

    #[test]
    fn headers_about_rates_are_kept_and_no_others() {
        let headers = [
            ("ratelimit-limit", "100;w=21600"),
            ("x-ratelimit-remaining", "7"),
            ("docker-ratelimit-source", "192.0.2.1"),
            ("retry-after", "3"),
            ("etag", "x"),
        ];
        let kept: Vec<_> = seen(&headers, 0, 0).rate_limits.into_iter().flatten().collect();
        let wanted =
            ["docker-ratelimit-source", "ratelimit-limit", "retry-after", "x-ratelimit-remaining"];
        let names: Vec<_> = kept.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, wanted);
    }
}
