//! `~/.netrc`: who one is on which host, as curl and git read it.

use store::cache::backend::Credentials;
use zeroize::Zeroizing;

/// Returns the login for a host: of the first entry that names it, else of the entry `default`.
pub(super) fn find(text: &str, host: &str) -> Option<Credentials> {
    let mut words = words(text);
    let mut is_meant = false;
    let (mut login, mut password) = (None, None);
    loop {
        let word = words.next();
        let starts = matches!(word, Some("machine" | "default") | None);
        if starts && is_meant {
            return Some(Credentials::Basic {
                user: login.unwrap_or_default(),
                password: password.unwrap_or_default(),
            });
        }
        match word? {
            "machine" => is_meant = words.next() == Some(host),
            "default" => is_meant = true,
            "login" if is_meant => login = words.next().map(str::to_owned),
            "password" if is_meant => {
                password = words.next().map(|word| Zeroizing::new(word.to_owned()));
            }
            // Each of these has one word after it; what it says is for `ftp`.
            "login" | "password" | "account" | "macdef" => {
                words.next();
            }
            _ => {}
        }
    }
}

/// The words of the file without comments, which begin a line or follow a space.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.lines().flat_map(|line| {
        line.split_whitespace()
            .take_while(|word| !word.starts_with('#'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, host: &str) -> Option<(String, String)> {
        match find(text, host)? {
            Credentials::Basic { user, password } => Some((user, password.to_string())),
            Credentials::Bearer(_) | Credentials::Identity(_) => None,
        }
    }

    #[test]
    fn the_first_entry_of_a_host_counts_and_then_the_default() {
        let text = "# mine\nmachine a.example login me password p#1 # x\nmachine b.example\n  account z\n  login you\n  password q\n\
            machine a.example login other password r\ndefault login anonymous password s\n";
        let pair = |user: &str, password: &str| Some((user.to_owned(), password.to_owned()));
        assert_eq!(shown(text, "a.example"), pair("me", "p#1"));
        assert_eq!(shown(text, "b.example"), pair("you", "q"));
        assert_eq!(shown(text, "c.example"), pair("anonymous", "s"));
        assert_eq!(shown("machine b.example login you", "a.example"), None);
        assert_eq!(shown("", "a.example"), None);
    }
}
