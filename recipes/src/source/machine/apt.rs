//! apt's sources as mirrors, each named by the last part of its address: `…/debian` is `debian`.
//!
//! Formats: sources.list(5), both the one-line and the deb822 style, `mirror+file:` lists of apt-transport-mirror(1), and
//! the proxy settings of apt.conf(5).

use std::path::Path;

use super::super::{Address, MirrorTable};
use super::files::MachineFiles;

/// The keyring by which Debian's own archives are told from other people's that are named alike.
const DISTRIBUTION_KEYRING: &str = "debian-archive-keyring";

struct Source {
    uri: String,
    signed_by: Option<String>,
}

impl Source {
    /// The distribution's own archives are asked before others, which are likely to lack the file.
    fn is_foreign(&self) -> bool {
        self.signed_by
            .as_ref()
            .is_some_and(|keyring| !keyring.contains(DISTRIBUTION_KEYRING))
    }
}

pub(super) fn mirrors(files: &MachineFiles) -> MirrorTable {
    let proxy = Proxy::parse(&files.apt_conf);
    let mut sources: Vec<Source> = files
        .apt_sources
        .iter()
        .flat_map(|text| deb822(text))
        .collect();
    sources.extend(files.apt_lists.iter().flat_map(|text| one_line(text)));
    sources.sort_by_key(Source::is_foreign);
    let mut table = MirrorTable::new();
    for source in sources {
        for uri in expand(&source.uri, files) {
            let name = uri
                .trim_end_matches('/')
                .rsplit('/')
                .next()
                .unwrap_or_default()
                .to_owned();
            if !name.is_empty() {
                let proxy = proxy.of(&uri);
                table.append(&name, Address { url: uri, proxy });
            }
        }
    }
    table
}

/// Reads stanzas of `Field: value` lines, with continuation lines and comments.
fn deb822(text: &str) -> Vec<Source> {
    let mut sources = Vec::new();
    for stanza in stanzas(text) {
        let field = |name: &str| {
            stanza
                .iter()
                .find(|(key, _)| key.eq_ignore_ascii_case(name))
                .map(|(_, value)| value.trim())
        };
        let disabled =
            field("Enabled").is_some_and(|value| matches!(value, "no" | "false" | "0" | "off"));
        if disabled {
            continue;
        }
        for uri in field("URIs").unwrap_or_default().split_whitespace() {
            sources.push(Source {
                uri: uri.to_owned(),
                signed_by: field("Signed-By").map(str::to_owned),
            });
        }
    }
    sources
}

fn stanzas(text: &str) -> Vec<Vec<(String, String)>> {
    let mut all = Vec::new();
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if line.trim().is_empty() {
            all.push(std::mem::take(&mut fields));
        } else if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = fields.last_mut() {
                value.push(' ');
                value.push_str(line.trim());
            }
        } else if let Some((key, value)) = line.split_once(':') {
            fields.push((key.trim().to_owned(), value.trim().to_owned()));
        }
    }
    all.push(fields);
    all
}

/// Reads `deb [options] uri suite component…` lines.
fn one_line(text: &str) -> Vec<Source> {
    text.lines()
        .filter_map(|line| {
            let line = line.split('#').next()?.trim();
            let rest = line
                .strip_prefix("deb-src")
                .or_else(|| line.strip_prefix("deb"))?;
            let rest = rest.strip_prefix([' ', '\t'])?.trim_start();
            let (options, rest) = match rest.strip_prefix('[') {
                Some(rest) => rest.split_once(']')?,
                None => ("", rest),
            };
            let uri = rest.split_whitespace().next()?.to_owned();
            let signed_by = options
                .split_whitespace()
                .find_map(|option| option.strip_prefix("signed-by="));
            Some(Source {
                uri,
                signed_by: signed_by.map(str::to_owned),
            })
        })
        .collect()
}

/// Turns a source's URI into addresses that pith can ask, and a mirror list into those that it lists.
fn expand(uri: &str, files: &MachineFiles) -> Vec<String> {
    if let Some(path) = uri.strip_prefix("mirror+file:") {
        let path = Path::new("/").join(path.trim_start_matches('/'));
        let name = path.file_name();
        let list = files.apt_mirror_lists.get(&path).or_else(|| {
            files
                .apt_mirror_lists
                .iter()
                .find(|(known, _)| known.file_name() == name)
                .map(|(_, text)| text)
        });
        let lines = list.map_or("", String::as_str).lines();
        return lines
            .filter_map(|line| line.split('#').next()?.split_whitespace().next())
            .filter(|address| is_web(address))
            .map(str::to_owned)
            .collect();
    }
    if let Some(path) = uri
        .strip_prefix("file:")
        .or_else(|| uri.strip_prefix("copy:"))
    {
        return vec![format!("file:///{}", path.trim_start_matches('/'))];
    }
    if is_web(uri) {
        vec![uri.to_owned()]
    } else {
        Vec::new()
    }
}

fn is_web(uri: &str) -> bool {
    uri.starts_with("http://") || uri.starts_with("https://")
}

/// The proxies that apt uses.
#[derive(Default)]
struct Proxy {
    http: Option<String>,
    https: Option<String>,
}

impl Proxy {
    /// Reads `Acquire::http::Proxy "…";`, in one line or in nested blocks. Later files win, as they do for apt.
    fn parse(texts: &[String]) -> Self {
        let mut proxy = Self::default();
        for text in texts {
            for (key, value) in settings(text) {
                match key.to_ascii_lowercase().as_str() {
                    "acquire::http::proxy" => proxy.http = usable(&value),
                    "acquire::https::proxy" => proxy.https = usable(&value),
                    _ => {}
                }
            }
        }
        proxy
    }

    fn of(&self, uri: &str) -> Option<String> {
        if uri.starts_with("https://") {
            self.https.clone()
        } else {
            self.http.clone()
        }
    }
}

fn usable(value: &str) -> Option<String> {
    (is_web(value) || value.starts_with("socks5h://")).then(|| value.to_owned())
}

/// The `key value` pairs of an apt.conf(5), with the names of enclosing blocks in front of the key.
fn settings(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut blocks: Vec<String> = Vec::new();
    let mut words: Vec<String> = Vec::new();
    for token in tokens(text) {
        match token.as_str() {
            "{" => blocks.push(std::mem::take(&mut words).join(" ")),
            "}" => {
                blocks.pop();
                words.clear();
            }
            ";" => {
                if let [key, value] = words.as_slice() {
                    let mut path = blocks.clone();
                    path.push(key.clone());
                    found.push((path.join("::"), value.clone()));
                }
                words.clear();
            }
            _ => words.push(token),
        }
    }
    found
}

fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    for line in text.lines() {
        let line = line.trim_start();
        if line.starts_with('#') || line.starts_with("//") {
            continue;
        }
        let mut word = String::new();
        let mut characters = line.chars();
        while let Some(character) = characters.next() {
            match character {
                '"' => {
                    word.extend(characters.by_ref().take_while(|c| *c != '"'));
                    tokens.push(std::mem::take(&mut word));
                }
                '{' | '}' | ';' => {
                    push_word(&mut tokens, &mut word);
                    tokens.push(character.to_string());
                }
                c if c.is_whitespace() => push_word(&mut tokens, &mut word),
                c => word.push(c),
            }
        }
        push_word(&mut tokens, &mut word);
    }
    tokens
}

fn push_word(tokens: &mut Vec<String>, word: &mut String) {
    if !word.is_empty() {
        tokens.push(std::mem::take(word));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urls(files: &MachineFiles, name: &str) -> Vec<String> {
        mirrors(files)
            .bases(name)
            .iter()
            .map(|base| base.url.clone())
            .collect()
    }

    #[test]
    fn deb822_sources_name_their_archive_by_the_end_of_the_address() {
        let text = "Types: deb\n# a comment\nURIs: http://a.example/debian/\n  http://b.example/x/debian\nSuites: stable\n\n\
                    Types: deb\nURIs: http://a.example/debian-security\nSigned-By: /k/debian-archive-keyring.gpg\n\n\
                    Enabled: no\nTypes: deb\nURIs: http://off.example/debian\n";
        let files = MachineFiles {
            apt_sources: vec![text.to_owned()],
            ..MachineFiles::default()
        };
        assert_eq!(
            urls(&files, "debian"),
            ["http://a.example/debian/", "http://b.example/x/debian"]
        );
        assert_eq!(
            urls(&files, "debian-security"),
            ["http://a.example/debian-security"]
        );
    }

    #[test]
    fn one_line_sources_may_have_options_and_comments() {
        let text = "# deb http://no.example/debian stable main\n\
                    deb [arch=amd64 signed-by=/k/other.gpg] https://foreign.example/linux/debian stable x # y\n\
                    deb-src\thttp://a.example/debian stable main\n\
                    debug http://no.example/debian\n deb cdrom:[x]/ stable main\n";
        let files = MachineFiles {
            apt_lists: vec![text.to_owned()],
            ..MachineFiles::default()
        };
        assert_eq!(
            urls(&files, "debian"),
            [
                "http://a.example/debian",
                "https://foreign.example/linux/debian"
            ]
        );
    }

    #[test]
    fn mirror_lists_and_local_directories_are_followed() {
        let files = MachineFiles {
            apt_lists: vec![
                "deb mirror+file:///etc/apt/mirrors/debian.list stable main\ndeb file:/srv/debian stable main\n".to_owned(),
            ],
            apt_mirror_lists: [("/etc/apt/mirrors/debian.list".into(), "https://m.example/debian\n#x\n".to_owned())].into(),
            ..MachineFiles::default()
        };
        assert_eq!(
            urls(&files, "debian"),
            ["https://m.example/debian", "file:///srv/debian"]
        );
    }

    #[test]
    fn the_proxy_of_apt_is_used_for_its_sources() {
        for conf in [
            "Acquire::http::Proxy \"http://proxy.example:3142/\";",
            "Acquire { http { Proxy \"http://proxy.example:3142/\"; }; };",
            "# c\n// c\nacquire::HTTP::proxy http://proxy.example:3142/;\nDPkg::Options { \"--force\"; };",
        ] {
            let files = MachineFiles {
                apt_lists: vec![
                    "deb http://a.example/debian x y\ndeb https://b.example/debian x y".to_owned(),
                ],
                apt_conf: vec![conf.to_owned()],
                ..MachineFiles::default()
            };
            let proxies: Vec<_> = mirrors(&files)
                .bases("debian")
                .iter()
                .map(|base| base.proxy.clone())
                .collect();
            assert_eq!(
                proxies,
                [Some("http://proxy.example:3142/".to_owned()), None],
                "{conf}"
            );
        }
    }

    #[test]
    fn direct_switches_a_proxy_off() {
        let files = MachineFiles {
            apt_lists: vec!["deb http://a.example/debian x y".to_owned()],
            apt_conf: vec![
                "Acquire::http::Proxy \"http://p.example/\";".to_owned(),
                "Acquire::http::Proxy \"DIRECT\";".to_owned(),
            ],
            ..MachineFiles::default()
        };
        assert_eq!(mirrors(&files).bases("debian")[0].proxy, None);
    }
}
