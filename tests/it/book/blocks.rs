//! The fenced blocks of a page.

/// A fenced block.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Block {
    /// The line of its fence, from 1.
    pub(super) line: usize,
    /// The first word after the fence.
    pub(super) language: String,
    /// The other words.
    pub(super) attributes: Vec<String>,
    /// What the comment `<!-- why: … -->` just above it says.
    pub(super) reason: Option<String>,
    pub(super) text: String,
}

impl Block {
    /// A doctest runs unless it says otherwise, and then it has to say why.
    pub(super) fn check_rust(&self, chapter: &str) {
        for attribute in &self.attributes {
            assert!(
                ["no_run", "should_panic"].contains(&attribute.as_str()),
                "{chapter}:{}: `{attribute}` is not for the guides",
                self.line
            );
            assert!(
                self.reason.is_some(),
                "{chapter}:{}: `{attribute}` needs a comment `<!-- why: … -->` above it",
                self.line
            );
        }
    }
}

/// All fenced blocks of a page.
pub(super) fn parse(page: &str) -> Result<Vec<Block>, String> {
    let mut blocks = Vec::new();
    let mut lines = page.lines().enumerate();
    let mut above = "";
    while let Some((index, line)) = lines.next() {
        let line_number = index + 1;
        let indent = line.len() - line.trim_start().len();
        let Some(info) = line.trim_start().strip_prefix("```") else {
            if line.contains("~~~") {
                return Err(format!("line {line_number}: fence blocks with ```"));
            }
            above = line;
            continue;
        };
        let mut words = info.split([',', ' ']).filter(|word| !word.is_empty());
        let language = words.next().ok_or_else(|| {
            format!("line {line_number}: a block without a language is not tried out")
        })?;
        let mut text = String::new();
        let closed = lines.by_ref().any(|(_, line)| {
            let is_end = line.trim() == "```";
            if !is_end {
                text.push_str(line.get(indent..).unwrap_or_default());
                text.push('\n');
            }
            is_end
        });
        if !closed {
            return Err(format!("line {line_number}: the block is not closed"));
        }
        blocks.push(Block {
            line: line_number,
            language: language.to_owned(),
            attributes: words.map(str::to_owned).collect(),
            reason: reason(above),
            text,
        });
        above = "";
    }
    Ok(blocks)
}

fn reason(line: &str) -> Option<String> {
    let reason = line
        .trim()
        .strip_prefix("<!-- why: ")?
        .strip_suffix("-->")?;
    Some(reason.trim().to_owned()).filter(|reason| !reason.is_empty())
}

#[test]
fn blocks_are_found_with_language_attributes_and_reason() {
    let page = "text\n\n<!-- why: no server -->\n```rust,no_run\nlet x;\n```\n\n  ```text\n  a\n   b\n  ```\n";
    let blocks = parse(page).expect("valid");
    assert_eq!(blocks.len(), 2);
    assert_eq!((blocks[0].line, &*blocks[0].language), (4, "rust"));
    assert_eq!(blocks[0].attributes, ["no_run"]);
    assert_eq!(blocks[0].reason.as_deref(), Some("no server"));
    assert_eq!(blocks[1].text, "a\n b\n");
    assert!(parse("```\nx\n```\n").is_err(), "no language");
    assert!(parse("```text\nx\n").is_err(), "not closed");
}
