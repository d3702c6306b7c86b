//! JSON that is written while it is made: a document of 60 000 files is never in memory twice.
//!
//! Keys stand in the order in which they are written, and there is no white space: the same calls give the same bytes.

use serde::Serialize;

/// A document in the making.
pub(super) struct Json(Vec<u8>);

/// An object of it that is open.
pub(super) struct Object<'a> {
    out: &'a mut Vec<u8>,
    is_first: bool,
}

/// A list of it that is open.
pub(super) struct Array<'a> {
    out: &'a mut Vec<u8>,
    is_first: bool,
}

impl Json {
    /// Returns a document that is one object, with a newline at its end.
    pub(super) fn object(body: impl FnOnce(&mut Object<'_>)) -> Vec<u8> {
        let mut json = Self(Vec::new());
        object(&mut json.0, body);
        json.0.push(b'\n');
        json.0
    }
}

impl Object<'_> {
    /// Writes a field.
    pub(super) fn value(&mut self, key: &str, value: &(impl Serialize + ?Sized)) {
        self.key(key);
        leaf(self.out, value);
    }

    /// Writes a field, if there is one.
    pub(super) fn maybe(&mut self, key: &str, value: Option<&(impl Serialize + ?Sized)>) {
        if let Some(value) = value {
            self.value(key, value);
        }
    }

    pub(super) fn object(&mut self, key: &str, body: impl FnOnce(&mut Object<'_>)) {
        self.key(key);
        object(self.out, body);
    }

    pub(super) fn array(&mut self, key: &str, body: impl FnOnce(&mut Array<'_>)) {
        self.key(key);
        array(self.out, body);
    }

    /// Writes a list of an object for each item, unless there is none.
    pub(super) fn objects<I: IntoIterator>(
        &mut self,
        key: &str,
        items: I,
        mut body: impl FnMut(&mut Object<'_>, I::Item),
    ) {
        let mut items = items.into_iter().peekable();
        if items.peek().is_some() {
            self.array(key, |array| {
                for item in items {
                    array.object(|object| body(object, item));
                }
            });
        }
    }

    fn key(&mut self, key: &str) {
        separate(self.out, &mut self.is_first);
        leaf(self.out, key);
        self.out.push(b':');
    }
}

impl Array<'_> {
    pub(super) fn object(&mut self, body: impl FnOnce(&mut Object<'_>)) {
        separate(self.out, &mut self.is_first);
        object(self.out, body);
    }
}

fn object(out: &mut Vec<u8>, body: impl FnOnce(&mut Object<'_>)) {
    out.push(b'{');
    body(&mut Object {
        out,
        is_first: true,
    });
    out.push(b'}');
}

fn array(out: &mut Vec<u8>, body: impl FnOnce(&mut Array<'_>)) {
    out.push(b'[');
    body(&mut Array {
        out,
        is_first: true,
    });
    out.push(b']');
}

fn separate(out: &mut Vec<u8>, is_first: &mut bool) {
    if !std::mem::take(is_first) {
        out.push(b',');
    }
}

fn leaf(out: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    serde_json::to_writer(out, value).expect("texts, numbers and lists of them are always JSON");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_and_lists_are_separated_and_closed() {
        let bytes = Json::object(|top| {
            top.value("a", "x\"\n");
            top.maybe("b", None::<&str>);
            top.array("c", |list| {
                list.object(|object| object.value("n", &1));
                list.object(|_| ());
                list.object(|object| object.value("d", &[1, 2]));
            });
            top.objects("e", [0; 0], |_, _| ());
            top.objects("f", [1, 2], |object, number| object.value("n", &number));
            top.object("g", |_| ());
        });
        assert_eq!(
            String::from_utf8_lossy(&bytes),
            "{\"a\":\"x\\\"\\n\",\"c\":[{\"n\":1},{},{\"d\":[1,2]}],\"f\":[{\"n\":1},{\"n\":2}],\"g\":{}}\n"
        );
    }
}
