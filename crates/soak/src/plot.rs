//! Line plots as SVG, without scripts or anything from elsewhere.

use std::fmt::Write as _;

/// Some lines over the minutes of a run.
pub(crate) struct Plot {
    pub(crate) title: String,
    /// What the vertical axis says, with its unit.
    pub(crate) axis: &'static str,
    pub(crate) scale: Scale,
    pub(crate) lines: Vec<PlotLine>,
}

/// One line of a plot.
pub(crate) struct PlotLine {
    pub(crate) name: String,
    /// Minute and value.
    pub(crate) points: Vec<(f64, f64)>,
}

/// How the vertical axis rises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scale {
    /// From zero.
    Linear,
    /// By powers of ten.
    Logarithmic,
}

/// A moment that every plot shows, as a stroke below its lines.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    pub(crate) minute: f64,
    pub(crate) colour: &'static str,
    /// Which of the rows of strokes.
    pub(crate) row: u8,
}

impl Plot {
    /// The plot of `minutes` minutes as an SVG element.
    pub(crate) fn svg(&self, minutes: f64, marks: &[Mark]) -> String {
        let axis = Axis::over(self);
        let mut svg = format!(
            "<figure><figcaption>{}</figcaption><svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">\n",
            escaped(&self.title),
            escaped(&self.title)
        );
        self.draw_axes(&mut svg, &axis, minutes);
        for mark in marks {
            let top = BOTTOM + 4.0 + f64::from(mark.row) * 7.0;
            let _ = writeln!(
                svg,
                "<line x1=\"{0:.1}\" x2=\"{0:.1}\" y1=\"{top}\" y2=\"{1}\" stroke=\"{2}\"/>",
                x(mark.minute, minutes),
                top + 5.0,
                mark.colour
            );
        }
        for (line, colour) in self.lines.iter().zip(COLOURS.iter().cycle()) {
            let points = line
                .points
                .iter()
                .map(|(minute, value)| (x(*minute, minutes), axis.y(*value)));
            let points: Vec<String> = points.map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
            let _ = writeln!(
                svg,
                "<polyline points=\"{}\" stroke=\"{colour}\"><title>{}</title></polyline>",
                points.join(" "),
                escaped(&line.name)
            );
        }
        svg += "</svg><p class=\"legend\">";
        for (line, colour) in self.lines.iter().zip(COLOURS.iter().cycle()) {
            let _ = write!(
                svg,
                "<span><i style=\"background:{colour}\"></i>{}</span>",
                escaped(&line.name)
            );
        }
        svg += "</p></figure>\n";
        svg
    }

    fn draw_axes(&self, svg: &mut String, axis: &Axis, minutes: f64) {
        for tick in &axis.ticks {
            let y = axis.y(*tick);
            let _ = writeln!(
                svg,
                "<line x1=\"{LEFT}\" x2=\"{}\" y1=\"{y:.1}\" y2=\"{y:.1}\" class=\"grid\"/>\
                 <text x=\"{}\" y=\"{:.1}\" class=\"left\">{}</text>",
                WIDTH - RIGHT,
                LEFT - 6.0,
                y + 4.0,
                short(*tick)
            );
        }
        for step in 0..=6 {
            let minute = minutes * f64::from(step) / 6.0;
            let _ = writeln!(
                svg,
                "<text x=\"{:.1}\" y=\"{}\" class=\"below\">{}</text>",
                x(minute, minutes),
                HEIGHT - 4.0,
                short(minute)
            );
        }
        let _ = writeln!(svg, "<text x=\"4\" y=\"12\">{}</text>", escaped(self.axis));
    }
}

fn x(minute: f64, minutes: f64) -> f64 {
    LEFT + (minute / minutes).min(1.0) * (WIDTH - LEFT - RIGHT)
}

/// The vertical axis.
struct Axis {
    scale: Scale,
    low: f64,
    high: f64,
    ticks: Vec<f64>,
}

impl Axis {
    fn over(plot: &Plot) -> Self {
        let values = plot
            .lines
            .iter()
            .flat_map(|line| &line.points)
            .map(|(_, value)| *value);
        let (low, high) = values.fold((f64::MAX, 0.0_f64), |(low, high), value| {
            (low.min(value), high.max(value))
        });
        match plot.scale {
            Scale::Linear => {
                let step = step(high / 4.0);
                let count = (high / step).ceil().max(1.0);
                let ticks = (0..=5).map(|n| f64::from(n) * step);
                let high = count * step;
                Self {
                    scale: plot.scale,
                    low: 0.0,
                    high,
                    ticks: ticks.filter(|tick| *tick <= high).collect(),
                }
            }
            Scale::Logarithmic => {
                let low = low.clamp(1e-3, 1e9).log10().floor();
                let high = high.clamp(1e-3, 1e9).log10().ceil().max(low + 1.0);
                let ticks = (-3..=9)
                    .map(f64::from)
                    .filter(|power| (low..=high).contains(power));
                Self {
                    scale: plot.scale,
                    low,
                    high,
                    ticks: ticks.map(|power| 10_f64.powf(power)).collect(),
                }
            }
        }
    }

    fn y(&self, value: f64) -> f64 {
        let value = match self.scale {
            Scale::Linear => value,
            Scale::Logarithmic => value.max(1e-3).log10(),
        };
        let share = (value - self.low) / (self.high - self.low);
        BOTTOM - share.clamp(0.0, 1.0) * (BOTTOM - TOP)
    }
}

/// The nearest of 1, 2 and 5 times a power of ten that is not below.
fn step(at_least: f64) -> f64 {
    let power = 10_f64.powf(at_least.max(1e-6).log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0];
    let found = steps.into_iter().find(|step| at_least <= step * power);
    found.unwrap_or(10.0) * power
}

/// A number without digits that say nothing.
fn short(number: f64) -> String {
    let text = if number < 10.0 {
        format!("{number:.3}")
    } else {
        format!("{number:.1}")
    };
    if !text.contains('.') {
        return text;
    }
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// `text` as HTML shows it.
pub(crate) fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    text.replace('>', "&gt;").replace('"', "&quot;")
}

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 20.0;
const BOTTOM: f64 = 214.0;
const COLOURS: [&str; 4] = ["#1f77b4", "#d95f02", "#7b3294", "#1b7837"];

#[cfg(test)]
mod tests {
    use super::*;

    fn plot(scale: Scale, points: &[(f64, f64)]) -> Plot {
        Plot {
            title: "a <plot>".to_owned(),
            axis: "ms",
            scale,
            lines: vec![PlotLine {
                name: "line".to_owned(),
                points: points.to_vec(),
            }],
        }
    }

    #[test]
    fn a_line_lies_between_the_ends_of_its_axis() {
        for scale in [Scale::Linear, Scale::Logarithmic] {
            let axis = Axis::over(&plot(scale, &[(0.0, 3.0), (1.0, 42.0)]));
            let (low, high) = (axis.y(3.0), axis.y(42.0));
            assert!(
                TOP <= high && high < low && low <= BOTTOM,
                "{scale:?}: {low} {high}"
            );
            assert!(1 < axis.ticks.len(), "{scale:?}: {:?}", axis.ticks);
        }
    }

    #[test]
    fn nothing_measured_is_an_empty_plot() {
        for scale in [Scale::Linear, Scale::Logarithmic] {
            let svg = plot(scale, &[]).svg(10.0, &[]);
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }

    #[test]
    fn steps_are_round() {
        for (at_least, expected) in [(0.9, 1.0), (1.1, 2.0), (3.0, 5.0), (70.0, 100.0)] {
            assert!((step(at_least) - expected).abs() < 1e-9, "{at_least}");
        }
    }

    #[test]
    fn text_is_escaped() {
        let svg = plot(Scale::Linear, &[(0.0, 1.0)]).svg(1.0, &[]);
        assert!(
            svg.contains("a &lt;plot&gt;") && !svg.contains("<plot>"),
            "{svg}"
        );
    }
}
