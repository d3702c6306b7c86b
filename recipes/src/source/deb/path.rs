//! Where a member of a package lies in a tree with merged `/usr`.

use super::members::Kind;

/// Longest path of a member; as long as Linux has them.
const MAX_PATH: usize = 4095;
const MAX_NAME: usize = 255;

/// The top directories that are links into `usr` on a merged system (the `usrmerge` package, `usr-is-merged`).
const MERGED: [&str; 5] = ["bin", "sbin", "lib", "lib64", "lib32"];

/// Turns the name of a member (`./lib/x`) into its place in the tree (`usr/lib/x`).
///
/// Returns `None` for a name that is absolute, has `..`, is not UTF-8, is too long, or has a control character. The top
/// directory itself is the empty string.
pub(crate) fn place(name: &[u8]) -> Option<String> {
    let name = std::str::from_utf8(name).ok()?;
    if name.starts_with('/') || name.len() > MAX_PATH || name.chars().any(char::is_control) {
        return None;
    }
    let mut parts = Vec::new();
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => return None,
            _ if part.len() > MAX_NAME => return None,
            _ => parts.push(part),
        }
    }
    if parts.first().is_some_and(|first| MERGED.contains(first)) {
        parts.insert(0, "usr");
    }
    Some(parts.join("/"))
}

/// Returns whether the member is one of the links at the top of a merged system, which the tree does not have.
pub(super) fn is_merged_link(name: &[u8], kind: &Kind) -> bool {
    let name = name.strip_prefix(b"./").unwrap_or(name);
    matches!(kind, Kind::Symlink { .. }) && MERGED.iter().any(|top| top.as_bytes() == name)
}

/// Corrects the target of a symbolic link whose own place has moved from `/lib` to `/usr/lib`.
///
/// A relative target counted its `..` from the old directory, which lay one level higher, but a target that leads
/// upwards to the top and down again (`../bin/x` from `./lib/y`) leads to the same file below `usr`. Targets within the
/// moved directory and absolute ones, which meet the links at the top, stay as they are.
pub(super) fn link_target(name: &[u8], target: &str) -> String {
    let name = String::from_utf8_lossy(name);
    let parts: Vec<&str> = name
        .split('/')
        .filter(|part| !matches!(*part, "" | "."))
        .collect();
    let moved = parts.len() > 1 && parts.first().is_some_and(|first| MERGED.contains(first));
    if !moved || target.starts_with('/') {
        return target.to_owned();
    }
    let upwards = target.split('/').take_while(|part| *part == "..").count();
    let depth = parts.len() - 1;
    if upwards < depth {
        return target.to_owned();
    }
    // The target leaves the moved directory: say it from the top, where both systems agree.
    let below = target
        .split('/')
        .skip_while(|part| *part == "..")
        .collect::<Vec<_>>()
        .join("/");
    let Some(place) = place(below.as_bytes()) else {
        return target.to_owned();
    };
    match place.strip_prefix("usr/") {
        Some(rest) => format!("{}{rest}", "../".repeat(depth)),
        None => format!("{}{place}", "../".repeat(depth + 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_move_into_usr_as_on_a_merged_system() {
        for (name, expected) in [
            ("./", ""),
            ("./usr/bin/x", "usr/bin/x"),
            (
                "./lib/x86_64-linux-gnu/libc.so.6",
                "usr/lib/x86_64-linux-gnu/libc.so.6",
            ),
            ("lib64/ld.so", "usr/lib64/ld.so"),
            ("./bin", "usr/bin"),
            ("./etc//passwd", "etc/passwd"),
            ("./library/x", "library/x"),
        ] {
            assert_eq!(place(name.as_bytes()).as_deref(), Some(expected), "{name}");
        }
    }

    #[test]
    fn names_that_could_lead_elsewhere_are_none() {
        let long = "x".repeat(256);
        for name in [
            "/etc/passwd",
            "./../x",
            "usr/../../x",
            "a\nb",
            "a\0b",
            long.as_str(),
        ] {
            assert_eq!(place(name.as_bytes()), None, "{name:?}");
        }
        assert_eq!(place(b"\xff"), None);
    }

    #[test]
    fn links_between_merged_directories_still_meet_their_targets() {
        for (name, target, expected) in [
            (
                "./lib/x86_64-linux-gnu/libz.so.1",
                "libz.so.1.2",
                "libz.so.1.2",
            ),
            ("./lib/a/b", "../c", "../c"),
            ("./lib64/ld.so.2", "../lib/a/ld.so.2", "../lib/a/ld.so.2"),
            ("./lib64/ld.so.2", "/lib/a/ld.so.2", "/lib/a/ld.so.2"),
            ("./lib/a/x", "../../usr/share/y", "../../share/y"),
            ("./lib/a/x", "../../etc/y", "../../../etc/y"),
            ("./sbin/x", "../bin/y", "../bin/y"),
            ("./usr/lib/x", "../../lib/y", "../../lib/y"),
        ] {
            assert_eq!(
                link_target(name.as_bytes(), target),
                expected,
                "{name} {target}"
            );
        }
    }
}
