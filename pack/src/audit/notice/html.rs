//! Notices as one page of HTML that needs nothing else.

use super::{Notice, NoticeComponent};

const HEAD: &str = "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n";
const STYLE: &str = "<style>body{font:1rem/1.5 sans-serif;max-width:60rem;margin:auto;padding:1rem}pre{white-space:pre-wrap;overflow-wrap:anywhere}table{border-collapse:collapse}td,th{border:1px solid;padding:.3rem;text-align:left;vertical-align:top}</style>\n";

impl Notice {
    /// Returns the notices as a page. Bytes of texts that are no UTF-8 are shown as such.
    #[must_use]
    pub fn to_html(&self) -> String {
        let subject = escape(&self.subject);
        let mut page = [HEAD, STYLE].concat();
        let mut say = |text: &str| page.push_str(text);
        say(&format!(
            "<title>Notices for {subject}</title>\n</head>\n<body>\n<main>\n<h1>Notices for {subject}</h1>\n"
        ));
        say(
            "<h2>Components</h2>\n<table>\n<thead><tr><th scope=\"col\">Component</th><th scope=\"col\">License</th><th scope=\"col\">Copyright</th></tr></thead>\n<tbody>\n",
        );
        for component in &self.components {
            let license = component.license.as_deref().unwrap_or("not declared");
            let copyrights: Vec<String> =
                component.copyrights.iter().map(|one| escape(one)).collect();
            say(&format!(
                "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td></tr>\n",
                escape(&component.title()),
                escape(license),
                copyrights.join("<br>")
            ));
        }
        say("</tbody>\n</table>\n<h2>What the licenses ask of who passes this on</h2>\n<ul>\n");
        for (duty, components) in self.duties() {
            say(&format!(
                "<li>{}: {}</li>\n",
                escape(duty.title()),
                escape(&components.join(", "))
            ));
        }
        say("</ul>\n<h2>Texts</h2>\n");
        for text in &self.texts {
            let of: Vec<String> = (text.of.iter())
                .map(|(component, file)| {
                    let title = self.components.get(*component).map(NoticeComponent::title);
                    escape(&format!("{}: {file}", title.unwrap_or_default()))
                })
                .collect();
            say(&format!(
                "<section id=\"t{}\">\n<h3>{}</h3>\n<pre>{}</pre>\n</section>\n",
                text.sha256,
                of.join("<br>"),
                escape(&String::from_utf8_lossy(&text.bytes))
            ));
        }
        say("</main>\n</body>\n</html>\n");
        page
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
