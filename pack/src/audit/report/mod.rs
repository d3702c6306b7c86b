//! An audit as others read it: text for people, SARIF, JUnit and HTML. Pure; each a function of the audit alone, so that equal audits are equal bytes.

mod escape;
mod html;
mod junit;
mod sarif;
mod summary;
#[cfg(test)]
mod tests;
mod text;

pub use html::to_html;
pub use junit::to_junit;
pub use sarif::to_sarif;
pub use summary::Summary;
pub use text::to_text;
