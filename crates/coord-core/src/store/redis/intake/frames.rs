//! Where one message of RESP2 or RESP3 ends and the next begins, and what each costs to hold. Only lengths and nesting are
//! read; what a message means is the client's business, which reads on where this agrees.

use super::Refusal;

/// One message: a reply, or something pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame {
    /// What it costs to hold, in bytes.
    pub(super) cost: u64,
    /// Whether it confirms that a channel is listened to, or no longer: the client keeps a list of them.
    pub(super) is_confirmation: bool,
}

/// Follows a stream of messages, of which none may cost more than a limit.
///
/// Takes no more memory itself than [`MAX_DEPTH`](Self::MAX_DEPTH) numbers.
pub(super) struct Frames {
    limit: u64,
    at: At,
    cost: u64,
    /// How many values each array still misses, the outermost first.
    open: Vec<u64>,
    /// The first string of an array, as far as it tells what the array is.
    word: Word,
}

/// What comes next.
enum At {
    Value,
    Line(Line),
    /// So many bytes of a string.
    Body(u64),
    /// The end of a string: so many bytes of it have come.
    End(usize),
}

struct Line {
    marker: u8,
    len: u64,
    /// The beginning, of which lengths consist.
    text: Short<{ Frames::MAX_NUMBER }>,
    /// Whether the last byte may have been the first one of the end.
    after_return: bool,
}

impl Frames {
    /// How deep arrays may lie within one another. No reply to us has more than five levels.
    pub(super) const MAX_DEPTH: usize = 32;
    /// The longest line, in bytes: a status, an error, a number. What is longer has a length before it.
    pub(super) const MAX_LINE: u64 = 64 << 10;
    /// What a value costs beside its bytes: at most what the client takes for one, alone in an array of its own.
    pub(super) const VALUE: u64 = 256;
    /// The longest text of a length, with the blanks that the client passes over.
    const MAX_NUMBER: usize = 32;

    pub(super) fn new(limit: u64) -> Self {
        Self {
            limit,
            at: At::Value,
            cost: 0,
            open: Vec::new(),
            word: Word::default(),
        }
    }

    /// Takes bytes off the beginning of `bytes`, to the end of the message that ends there; all of them where none does.
    pub(super) fn next(&mut self, bytes: &mut &[u8]) -> Result<Option<Frame>, Refusal> {
        while !bytes.is_empty() {
            let ended = match &mut self.at {
                At::Value => {
                    let marker = bytes[0];
                    *bytes = &bytes[1..];
                    self.begin(marker)?;
                    false
                }
                At::Line(line) => {
                    let (taken, ended) = line.take(bytes);
                    *bytes = &bytes[taken as usize..];
                    let is_long = Self::MAX_LINE < line.len;
                    self.spend(taken)?;
                    if is_long {
                        return Err(Refusal::TooLong);
                    }
                    ended && self.end_line()?
                }
                At::Body(left) => {
                    let taken = usize::try_from(*left).unwrap_or(usize::MAX);
                    let (body, rest) = bytes.split_at(taken.min(bytes.len()));
                    *left -= body.len() as u64;
                    if *left == 0 {
                        self.at = At::End(0);
                    }
                    self.word.hear(body);
                    *bytes = rest;
                    self.spend(body.len() as u64)?;
                    false
                }
                At::End(come) => {
                    if bytes[0] != b"\r\n"[*come] {
                        return Err(Refusal::NotResp);
                    }
                    *come += 1;
                    let ended = *come == 2;
                    *bytes = &bytes[1..];
                    ended && self.end_value()
                }
            };
            if ended {
                return Ok(Some(self.end()));
            }
        }
        Ok(None)
    }

    fn begin(&mut self, marker: u8) -> Result<(), Refusal> {
        if !b"+-:$*_,#!=(%|~>".contains(&marker) {
            return Err(Refusal::NotResp);
        }
        self.spend(Self::VALUE)?;
        self.at = At::Line(Line {
            marker,
            len: 0,
            text: Short::default(),
            after_return: false,
        });
        Ok(())
    }

    /// Whether the message ends with this line.
    fn end_line(&mut self) -> Result<bool, Refusal> {
        let At::Line(line) = &self.at else {
            return Err(Refusal::NotResp);
        };
        let announced = || line.number().ok_or(Refusal::NotResp);
        match line.marker {
            b'$' => match u64::try_from(announced()?) {
                Ok(len) => self.string(len),
                // The client takes any negative length for nil.
                Err(_negative) => Ok(self.end_value()),
            },
            b'!' | b'=' => {
                let len = u64::try_from(announced()?).map_err(|_| Refusal::NotResp)?;
                self.string(len)
            }
            b'*' | b'~' | b'>' => {
                let values = announced()?;
                let is_told = line.marker != b'~';
                self.values(u64::try_from(values).unwrap_or(0), is_told)
            }
            marker @ (b'%' | b'|') => {
                let pairs = u64::try_from(announced()?).map_err(|_| Refusal::NotResp)?;
                // What has attributes follows them.
                let values =
                    (pairs.checked_mul(2)).and_then(|it| it.checked_add(u64::from(marker == b'|')));
                self.values(values.ok_or(Refusal::NotResp)?, false)
            }
            b'+' => {
                self.word.hear(line.text.bytes());
                Ok(self.end_value())
            }
            _ => Ok(self.end_value()),
        }
    }

    fn string(&mut self, len: u64) -> Result<bool, Refusal> {
        self.allow(len)?;
        self.at = if len == 0 { At::End(0) } else { At::Body(len) };
        Ok(false)
    }

    /// Begins an array, whose first string counts where `is_told` says so.
    fn values(&mut self, values: u64, is_told: bool) -> Result<bool, Refusal> {
        if values == 0 {
            return Ok(self.end_value());
        }
        if Self::MAX_DEPTH <= self.open.len() {
            return Err(Refusal::TooDeep);
        }
        self.allow(values.saturating_mul(Self::VALUE))?;
        self.word = match (self.open.is_empty(), is_told) {
            (true, true) => Word::Awaited(Short::default()),
            _ => Word::Over(self.word.is_confirmation()),
        };
        self.open.push(values);
        self.at = At::Value;
        Ok(false)
    }

    /// Whether the message ends with this value: every array that it is the last value of ends, too.
    fn end_value(&mut self) -> bool {
        self.at = At::Value;
        self.word = Word::Over(self.word.is_confirmation());
        while let Some(left) = self.open.last_mut() {
            *left -= 1;
            if *left > 0 {
                return false;
            }
            self.open.pop();
        }
        true
    }

    fn end(&mut self) -> Frame {
        let frame = Frame {
            cost: self.cost,
            is_confirmation: self.word.is_confirmation(),
        };
        self.cost = 0;
        self.word = Word::default();
        frame
    }

    fn spend(&mut self, cost: u64) -> Result<(), Refusal> {
        self.cost = self.cost.saturating_add(cost);
        self.allow(0)
    }

    /// Whether `more` may follow: what is only announced is refused at once.
    fn allow(&self, more: u64) -> Result<(), Refusal> {
        if self.limit < self.cost.saturating_add(more) {
            return Err(Refusal::TooLarge { limit: self.limit });
        }
        Ok(())
    }
}

impl Line {
    /// Takes the bytes up to the end of the line: how many, and whether it is there.
    fn take(&mut self, bytes: &[u8]) -> (u64, bool) {
        let mut taken = 0;
        for &byte in bytes {
            taken += 1;
            self.len += 1;
            if self.after_return && byte == b'\n' {
                return (taken, true);
            }
            self.after_return = byte == b'\r';
            self.text.push(byte);
        }
        (taken, false)
    }

    /// Its number, read as the client reads it.
    fn number(&self) -> Option<i64> {
        let text = self.text.whole()?.strip_suffix(b"\r")?;
        std::str::from_utf8(text).ok()?.trim().parse().ok()
    }
}

/// The beginning of a text.
struct Short<const MOST: usize> {
    bytes: [u8; MOST],
    len: usize,
}

impl<const MOST: usize> Default for Short<MOST> {
    fn default() -> Self {
        Self {
            bytes: [0; MOST],
            len: 0,
        }
    }
}

impl<const MOST: usize> Short<MOST> {
    fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.len) {
            *place = byte;
        }
        self.len = self.len.saturating_add(1);
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len.min(MOST)]
    }

    /// All of it, where it was short enough.
    fn whole(&self) -> Option<&[u8]> {
        self.bytes.get(..self.len)
    }
}

/// What the first string of an array says of it.
enum Word {
    /// It is the next value.
    Awaited(Short<16>),
    /// It has come, or none is asked for: whether it names a confirmation.
    Over(bool),
}

impl Default for Word {
    fn default() -> Self {
        Self::Over(false)
    }
}

impl Word {
    fn hear(&mut self, bytes: &[u8]) {
        if let Self::Awaited(word) = self {
            bytes.iter().take(16).for_each(|&byte| word.push(byte));
        }
    }

    /// Of all that a server says, only these end so.
    fn is_confirmation(&self) -> bool {
        match self {
            Self::Awaited(word) => {
                let word = word.bytes();
                word.strip_suffix(b"\r")
                    .unwrap_or(word)
                    .ends_with(b"subscribe")
            }
            Self::Over(is_confirmation) => *is_confirmation,
        }
    }
}
