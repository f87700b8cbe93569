//! Values as people write them: durations, sizes, lists.

use std::time::Duration;

use super::SlowConsumer;

/// A value, or what it must be instead.
pub(super) type Parsed<T> = Result<T, String>;

const KIB: usize = 1024;

/// Units of sizes, largest first so that the exact one is shown.
const SIZES: [(&str, usize); 3] = [("GiB", KIB * KIB * KIB), ("MiB", KIB * KIB), ("KiB", KIB)];

pub(super) fn number<T: std::str::FromStr>(text: &str) -> Parsed<T> {
    text.parse().map_err(|_| "must be a whole number in range".to_owned())
}

pub(super) fn flag(text: &str) -> Parsed<bool> {
    match text {
        "true" | "on" | "yes" | "1" => Ok(true),
        "false" | "off" | "no" | "0" => Ok(false),
        _ => Err("must be true or false".to_owned()),
    }
}

/// A number of bytes, or of `KiB`, `MiB` or `GiB`.
pub(super) fn size(text: &str) -> Parsed<usize> {
    let (digits, unit) = SIZES
        .iter()
        .find_map(|&(name, unit)| Some((text.strip_suffix(name)?, unit)))
        .unwrap_or((text, 1));
    digits
        .trim_end()
        .parse::<usize>()
        .ok()
        .and_then(|n| n.checked_mul(unit))
        .ok_or_else(|| "must be a number of bytes, or of KiB, MiB or GiB (64KiB)".to_owned())
}

pub(super) fn show_size(bytes: usize) -> String {
    SIZES
        .iter()
        .find(|(_, unit)| bytes > 0 && bytes.is_multiple_of(*unit))
        .map_or_else(|| bytes.to_string(), |(name, unit)| format!("{}{name}", bytes / unit))
}

/// A number of milliseconds, or of `ms`, `s` or `m`.
pub(super) fn duration(text: &str) -> Parsed<Duration> {
    let (digits, unit) = [("ms", 1), ("s", 1000), ("m", 60_000)]
        .iter()
        .find_map(|&(name, unit)| Some((text.strip_suffix(name)?, unit)))
        .unwrap_or((text, 1));
    // An hour-sized timeout is a mistake less often than a year-sized one is; u32 milliseconds hold 49 days.
    digits
        .trim_end()
        .parse::<u32>()
        .ok()
        .and_then(|n| n.checked_mul(unit))
        .map(|ms| Duration::from_millis(ms.into()))
        .ok_or_else(|| "must be a number of milliseconds, or 500ms, 10s, 1m".to_owned())
}

pub(super) fn show_duration(duration: Duration) -> String {
    match duration.as_millis() {
        ms if ms > 0 && ms.is_multiple_of(1000) => format!("{}s", ms / 1000),
        ms => format!("{ms}ms"),
    }
}

/// Permissions in octal, as `chmod` takes them.
pub(super) fn mode(text: &str) -> Parsed<u32> {
    let digits = text.strip_prefix("0o").unwrap_or(text);
    u32::from_str_radix(digits, 8)
        .ok()
        .filter(|mode| digits.bytes().all(|b| b.is_ascii_digit()) && *mode <= 0o777)
        .ok_or_else(|| "must be octal, 0000 to 0777 (0660)".to_owned())
}

pub(super) fn show_mode(mode: u32) -> String {
    format!("{mode:04o}")
}

/// What stands between commas; nothing at all is an empty list.
pub(super) fn list<T>(text: &str, check: fn(&str) -> Parsed<T>) -> Parsed<Vec<String>> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    text.split(',')
        .map(|item| {
            let item = item.trim();
            check(item).map_err(|reason| format!("{item:?} {reason}"))?;
            Ok(item.to_owned())
        })
        .collect()
}

/// What stands between commas, each a name and a value behind its last `=`.
pub(super) fn pairs<T>(text: &str, value: fn(&str) -> Parsed<T>) -> Parsed<Vec<(String, T)>> {
    let pair = |item: &str| {
        let (name, text) = item.trim().rsplit_once('=').ok_or("must be NAME=VALUE")?;
        Ok((name.to_owned(), value(text)?))
    };
    let wrong = |item: &str, reason: String| format!("{:?} {reason}", item.trim());
    let items = text.split(',').filter(|_| !text.is_empty());
    items.map(|item| pair(item).map_err(|reason| wrong(item, reason))).collect()
}

pub(super) fn policy(text: &str) -> Parsed<SlowConsumer> {
    match text {
        "close" => Ok(SlowConsumer::Close),
        "drop-new" | "drop_new" => Ok(SlowConsumer::DropNew),
        "drop-old" | "drop_old" => Ok(SlowConsumer::DropOld),
        _ => Err("must be close, drop-new or drop-old".to_owned()),
    }
}

/// A token of RFC 9110 §5.6.2.
pub(super) fn token(text: &str) -> Parsed<()> {
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if !text.is_empty() && text.bytes().all(is_token) {
        Ok(())
    } else {
        Err("must be a token: letters, digits and !#$%&'*+-.^_`|~".to_owned())
    }
}

/// `SCHEME://HOST[:PORT]`, with `*.` before the host for all below it, or a bare host.
pub(super) fn origin(text: &str) -> Parsed<()> {
    let host = text.split_once("://").map_or(text, |(_, host)| host);
    if host.is_empty() || !host.bytes().all(|b| b.is_ascii_graphic() && !b"/?#@".contains(&b)) {
        return Err("must be SCHEME://HOST[:PORT] or HOST".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_are_read_as_they_are_shown() {
        for ms in [0, 1, 999, 1000, 54_000, 90_500] {
            let d = Duration::from_millis(ms);
            assert_eq!(duration(&show_duration(d)), Ok(d));
        }
        for bytes in [0, 1, 1023, 1024, 65_536, 1 << 20, (1 << 20) + 1, 1 << 30] {
            assert_eq!(size(&show_size(bytes)), Ok(bytes));
        }
        assert_eq!(mode(&show_mode(0o660)), Ok(0o660));
        assert_eq!(mode("0o755"), Ok(0o755));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
    }

    #[test]
    fn what_does_not_fit_is_refused_and_never_wraps() {
        assert!(size("99999999999999999999").is_err());
        assert!(size("18014398509481984KiB").is_err());
        // 32 bits hold it only where addresses have more.
        assert_eq!(size("5GiB").is_ok(), usize::BITS > 32);
        assert!(size("4294967296").is_ok() == (usize::BITS > 32));
        assert!(duration("4294967296").is_err());
        assert!(duration("71583m").is_err());
        for wrong in ["", "01000", "888", "+77", "u=rw"] {
            assert!(mode(wrong).is_err(), "{wrong}");
        }
    }
}
