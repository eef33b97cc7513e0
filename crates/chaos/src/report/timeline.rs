//! The picture: time from left to right, faults on top, then IDs, slots and buckets.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use super::{Account, escaped, grouped, noun};
use crate::{
    check::{Holding, Who},
    history::{End, Kind, What},
    plan::Lane,
};

pub(super) fn draw(account: &Account<'_>, page: &mut String) {
    let scale = Scale::of(account);
    let rows = Rows::of(account);
    let (width, height) = (scale.width(), rows.height);
    let _ = writeln!(
        page,
        "<div class=\"picture\"><svg width=\"{width:.0}\" height=\"{height:.0}\" role=\"img\">"
    );
    draw_axis(&scale, rows.height, page);
    draw_ids(account, &scale, page);
    for holding in &account.verdict.holdings {
        draw_holding(holding, &scale, &rows, page);
    }
    draw_faults(account, &scale, &rows, page);
    draw_labels(&rows, page);
    *page += "</svg></div>\n";
    draw_legend(account, page);
}

/// Time as pixels.
struct Scale {
    began: u64,
    seconds: f64,
    pixels_a_second: f64,
}

impl Scale {
    fn of(account: &Account<'_>) -> Self {
        let seconds = account.seconds(account.ended).max(1.0);
        Self {
            began: account.began,
            seconds,
            pixels_a_second: (SHORT_WIDTH / seconds).max(LEAST_PIXELS_A_SECOND),
        }
    }

    fn x(&self, at: u64) -> f64 {
        let seconds = at.saturating_sub(self.began) as f64 / 1e6;
        GUTTER + seconds.min(self.seconds) * self.pixels_a_second
    }

    fn width(&self) -> f64 {
        GUTTER + self.seconds * self.pixels_a_second + 10.0
    }
}

/// Where each slot and bucket is drawn.
struct Rows {
    top: BTreeMap<(Kind, u32), f64>,
    buckets_top: f64,
    height: f64,
}

impl Rows {
    fn of(account: &Account<'_>) -> Self {
        let holdings = account.verdict.holdings.iter();
        let numbers: BTreeSet<(Kind, u32)> = holdings
            .map(|holding| (holding.grant.kind, holding.grant.number))
            .collect();
        let mut y = ROWS_TOP;
        let mut top = BTreeMap::new();
        let mut kind = None;
        for number in numbers {
            if kind.replace(number.0) != Some(number.0) {
                y += SECTION_GAP;
            }
            top.insert(number, y);
            y += row_height(number.0);
        }
        let buckets = top.range((Kind::Bucket, 0)..).next();
        Self {
            buckets_top: buckets.map_or(y, |(_, y)| *y),
            top,
            height: y + 10.0,
        }
    }
}

const fn row_height(kind: Kind) -> f64 {
    match kind {
        Kind::Slot => 11.0,
        Kind::Bucket => 7.0,
    }
}

fn draw_axis(scale: &Scale, height: f64, page: &mut String) {
    let every = if scale.seconds < 60.0 { 5 } else { 10 };
    let ticks = (0..=scale.seconds as u64).step_by(every);
    for second in ticks {
        let x = GUTTER + second as f64 * scale.pixels_a_second;
        let _ = writeln!(
            page,
            "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"12\" y2=\"{height:.0}\" stroke=\"#ddd\"/>\
             <text x=\"{x:.1}\" y=\"10\">{second} s</text>"
        );
    }
}

fn draw_ids(account: &Account<'_>, scale: &Scale, page: &mut String) {
    let mut seconds: BTreeMap<u64, u64> = BTreeMap::new();
    for record in account.histories.iter().flat_map(|it| &it.records) {
        if let What::Ids { count, .. } = record.what {
            let second = record.at.saturating_sub(account.began) / 1_000_000;
            *seconds.entry(second).or_default() += u64::from(count);
        }
    }
    let most = seconds.values().copied().max().unwrap_or(1).max(1);
    for (second, count) in seconds {
        let height = IDS_HEIGHT * count as f64 / most as f64;
        let x = GUTTER + second as f64 * scale.pixels_a_second;
        let _ = writeln!(
            page,
            "<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\" fill=\"#888\"><title>{second} s: {} \
             IDs</title></rect>",
            IDS_TOP + IDS_HEIGHT - height,
            scale.pixels_a_second * 0.9,
            grouped(count)
        );
    }
}

fn draw_holding(holding: &Holding, scale: &Scale, rows: &Rows, page: &mut String) {
    let grant = &holding.grant;
    let Some(y) = rows.top.get(&(grant.kind, grant.number)) else {
        return;
    };
    let (from, to) = (scale.x(holding.from), scale.x(holding.valid_to()));
    if to <= from {
        return;
    }
    let how = match holding.ended {
        Some((at, End::Released)) if at <= holding.deadline => "released",
        Some((at, End::Lost)) if at <= holding.deadline => "found lost",
        _ => "expired",
    };
    let _ = writeln!(
        page,
        "<rect x=\"{from:.1}\" y=\"{y:.0}\" width=\"{:.1}\" height=\"{:.0}\" fill=\"{}\"><title>{} {}: {}, fence {}, {:.2} \
         to {:.2} s, {how}</title></rect>",
        to - from,
        row_height(grant.kind) - 1.0,
        colour(&holding.who),
        noun(grant),
        grant.number,
        escaped(&holding.who.to_string()),
        grant.fence,
        (from - GUTTER) / scale.pixels_a_second,
        (to - GUTTER) / scale.pixels_a_second,
    );
}

fn draw_faults(account: &Account<'_>, scale: &Scale, rows: &Rows, page: &mut String) {
    for fault in &account.faults {
        let (lane, colour) = match fault.step.lane {
            Lane::Servers => (0.0, "#d22"),
            Lane::Holders => (1.0, "#26c"),
            Lane::Workers => (2.0, "#284"),
        };
        let (from, to) = (scale.x(fault.from), scale.x(fault.to));
        let (width, y) = ((to - from).max(2.0), LANES_TOP + lane * LANE_HEIGHT);
        let text = escaped(&fault.step.to_string());
        // A client fault shades what its clients hold, so that the columns do not blur each other.
        let (top, bottom, shade) = match fault.step.lane {
            Lane::Servers => (IDS_TOP, rows.height, 0.14),
            Lane::Holders => (ROWS_TOP, rows.buckets_top, 0.10),
            Lane::Workers => (rows.buckets_top, rows.height, 0.10),
        };
        // The number where the name is too long; it leads to the list below.
        let names = [
            format!("{} #{}", fault.step.kind.name(), fault.step.number),
            format!("#{}", fault.step.number),
        ];
        let fits = |name: &&String| name.len() as f64 * LETTER_WIDTH < width;
        let name = names.iter().find(fits).map_or("", String::as_str);
        let _ = writeln!(
            page,
            "<g><title>{text}</title><rect x=\"{from:.1}\" y=\"{y:.0}\" width=\"{width:.1}\" height=\"{:.0}\" \
             fill=\"{colour}\" fill-opacity=\"0.6\"/><rect x=\"{from:.1}\" y=\"{top:.0}\" width=\"{width:.1}\" \
             height=\"{:.0}\" fill=\"{colour}\" fill-opacity=\"{shade}\" pointer-events=\"none\"/><text x=\"{:.1}\" \
             y=\"{:.0}\">{name}</text></g>",
            LANE_HEIGHT - 2.0,
            bottom - top,
            from + 1.0,
            y + 10.0,
        );
    }
}

fn draw_labels(rows: &Rows, page: &mut String) {
    let lanes = ["servers", "holders", "workers"];
    for (lane, name) in lanes.into_iter().enumerate() {
        let y = LANES_TOP + lane as f64 * LANE_HEIGHT + 10.0;
        let _ = writeln!(page, "<text x=\"2\" y=\"{y:.0}\">{name}</text>");
    }
    let y = IDS_TOP + IDS_HEIGHT;
    let _ = writeln!(page, "<text x=\"2\" y=\"{y:.0}\">IDs a second</text>");
    for ((kind, number), y) in &rows.top {
        let is_labelled = *kind == Kind::Slot || number % 4 == 0;
        if is_labelled {
            let name = if *kind == Kind::Slot {
                "slot"
            } else {
                "bucket"
            };
            let _ = writeln!(
                page,
                "<text x=\"2\" y=\"{:.0}\">{name} {number}</text>",
                y + 8.0
            );
        }
    }
}

fn draw_legend(account: &Account<'_>, page: &mut String) {
    let holdings = account.verdict.holdings.iter();
    let mut clients: BTreeMap<String, String> = BTreeMap::new();
    for holding in holdings {
        let place = place(&holding.who.process);
        let name = format!("{place}/{}", holding.who.member);
        clients.entry(name).or_insert_with(|| colour(&holding.who));
    }
    *page += "<p>";
    for (name, colour) in clients {
        let _ = writeln!(
            page,
            "<span style=\"background:{colour};padding:0 6px;margin-right:4px\">{}</span>",
            escaped(&name)
        );
    }
    *page += "</p>\n<p>h are processes of holders, w of workers; after the bar the member of the process. A process \
              that takes another's place keeps its colour; the number after the dash counts them.</p>\n";
}

/// `h0` of `h0-3`.
fn place(process: &str) -> &str {
    process.split_once('-').map_or(process, |(place, _)| place)
}

/// A process's hue, lighter with the member's number.
fn colour(who: &Who) -> String {
    let place = place(&who.process);
    let number: u32 = place
        .trim_start_matches(char::is_alphabetic)
        .parse()
        .unwrap_or(0);
    let turn = if place.starts_with('w') { 45 } else { 0 };
    let hue = (number * 90 + turn) % 360;
    let lightness = 45 + who.member % 4 * 11;
    format!("hsl({hue},65%,{lightness}%)")
}

const SHORT_WIDTH: f64 = 1_100.0;
const LEAST_PIXELS_A_SECOND: f64 = 12.0;
const GUTTER: f64 = 70.0;
const LETTER_WIDTH: f64 = 5.5;
const LANES_TOP: f64 = 16.0;
const LANE_HEIGHT: f64 = 16.0;
const IDS_TOP: f64 = 68.0;
const IDS_HEIGHT: f64 = 40.0;
const ROWS_TOP: f64 = 112.0;
const SECTION_GAP: f64 = 10.0;
