//! Notices as plain text.

use std::collections::BTreeMap;

use super::{Notice, NoticeComponent};
use crate::audit::obligation::Duty;

/// What stands between texts.
const LINE: &str =
    "================================================================================\n";

impl NoticeComponent {
    /// Returns its name with its version.
    #[must_use]
    pub fn title(&self) -> String {
        match &self.version {
            Some(version) => format!("{} {version}", self.name),
            None => self.name.clone(),
        }
    }
}

impl Notice {
    /// Returns the notices as text: the components, what their licenses ask for, and the texts as they were found.
    #[must_use]
    pub fn to_text(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut say = |line: &str| {
            out.extend_from_slice(line.as_bytes());
            out.push(b'\n');
        };
        say(&format!("Notices for {}\n", self.subject));
        say(
            "It contains the software below, under the licenses named. Their texts follow as they were\nfound in the sources.\n",
        );
        for component in &self.components {
            say(&component.title());
            let license = component.license.as_deref().unwrap_or("not declared");
            say(&format!("  License: {license}"));
            if let Some(homepage) = &component.homepage {
                say(&format!("  {homepage}"));
            }
            for copyright in &component.copyrights {
                say(&format!("  {copyright}"));
            }
            say("");
        }
        say("What the licenses ask of who passes this on\n");
        for (duty, components) in self.duties() {
            say(&format!("* {}:", duty.title()));
            say(&format!("  {}", components.join(", ")));
        }
        say("");
        for text in &self.texts {
            out.extend_from_slice(LINE.as_bytes());
            for (component, file) in &text.of {
                let title = self.components.get(*component).map(NoticeComponent::title);
                let line = format!("{}: {file}\n", title.unwrap_or_default());
                out.extend_from_slice(line.as_bytes());
            }
            out.extend_from_slice(LINE.as_bytes());
            out.extend_from_slice(&text.bytes);
            if !text.bytes.ends_with(b"\n") {
                out.push(b'\n');
            }
            out.push(b'\n');
        }
        out
    }

    /// Returns what is asked for, each with the components that it is asked for by.
    pub(super) fn duties(&self) -> BTreeMap<Duty, Vec<String>> {
        let mut all: BTreeMap<Duty, Vec<String>> = BTreeMap::new();
        for component in &self.components {
            for duty in &component.duties {
                all.entry(*duty).or_default().push(component.title());
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::super::NoticeText;
    use super::*;
    use crate::audit::obligation::duties_of;

    #[test]
    fn a_text_is_printed_byte_for_byte_under_all_that_it_is_of() {
        let component = |name: &str, license: &str| NoticeComponent {
            name: name.to_owned(),
            version: None,
            license: Some(license.to_owned()),
            homepage: None,
            duties: duties_of(license),
            copyrights: vec!["© <A> & B".to_owned()],
        };
        let notice = Notice {
            subject: "app".to_owned(),
            components: vec![component("a", "MIT"), component("b", "GPL-2.0-only")],
            texts: vec![NoticeText {
                sha256: "aa".to_owned(),
                bytes: b"  <odd>\xff text".to_vec(),
                of: vec![(0, "LICENSE".to_owned()), (1, "COPYING".to_owned())],
            }],
            missing: Vec::new(),
        };
        let text = notice.to_text();
        let wanted = [
            LINE.as_bytes(),
            b"a: LICENSE\nb: COPYING\n",
            LINE.as_bytes(),
            b"  <odd>\xff text\n\n",
        ];
        assert!(text.ends_with(&wanted.concat()));
        let shown = String::from_utf8_lossy(&text).into_owned();
        assert!(
            shown.contains("\n* state what was changed:\n  b\n"),
            "{shown}"
        );
        let html = notice.to_html();
        assert!(html.contains("  &lt;odd&gt;\u{fffd} text"), "{html}");
        assert!(html.contains("© &lt;A&gt; &amp; B"), "{html}");
        assert!(!html.contains("<odd>"));
    }
}
