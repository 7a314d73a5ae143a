/* What the drawings share: see svg.h. */
#include "monitor/svg.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FONT_PX      11
#define CHARACTER_PX (0.62 * FONT_PX) /* of a name, on the average */
#define ZIGZAG_PX    6
#define LABEL_PX     16

static const struct svg_palette palettes[] = {
	[CHART_LIGHT] = { "#ffffff", "#1c2430", "#5b6675", "#e4e8ee", "#c2c9d3", "#8a94a3",
			  { "#0072b2", "#d55e00", "#009e73", "#b8559a", "#b88a00", "#2f8fce", "#5c5c5c", "#8a6d00" } },
	[CHART_DARK] = { "#141a22", "#e8edf4", "#9aa6b6", "#27303c", "#445060", "#7c8797",
			 { "#56b4e9", "#ff9d4d", "#2fd0a0", "#e29ac6", "#f0d24a", "#7fa8ff", "#c9c9c9", "#d9b650" } },
};

const char *const svg_dashes[SVG_COLOURS] = { "", "6 3", "2 2", "9 3 2 3", "4 2", "1 3", "12 3", "3 1" };

/* --- frame and text --- */

/* Bytes of the UTF-8 character at `text` when XML can say it, or 0. */
static unsigned character_bytes(const unsigned char *text)
{
	static const struct {
		unsigned char mask, lead;
		unsigned bytes;
		uint32_t least; /* longer than needed is wrong */
	} forms[] = { { 0x80, 0, 1, 0x20 }, { 0xe0, 0xc0, 2, 0xa0 }, { 0xf0, 0xe0, 3, 0x800 }, { 0xf8, 0xf0, 4, 0x10000 } };

	for (unsigned f = 0; f < 4; f++) {
		uint32_t code = text[0] & (unsigned char)~forms[f].mask;

		if ((text[0] & forms[f].mask) != forms[f].lead)
			continue;
		for (unsigned i = 1; i < forms[f].bytes; i++) {
			if ((text[i] & 0xc0) != 0x80)
				return 0;
			code = code << 6 | (text[i] & 0x3f);
		}
		return code < forms[f].least || code == 0x7f || (code >= 0xd800 && code < 0xe000) || (code & 0xfffe) == 0xfffe ||
				       code > 0x10ffff ? 0 : forms[f].bytes;
	}
	return 0;
}

void svg_escape(FILE *out, const char *text)
{
	const unsigned char *c = (const unsigned char *)text;

	while (*c) {
		unsigned bytes = character_bytes(c);

		switch (*c) {
		case '<':
			fputs("&lt;", out);
			break;
		case '>':
			fputs("&gt;", out);
			break;
		case '&':
			fputs("&amp;", out);
			break;
		case '"':
			fputs("&quot;", out);
			break;
		default:
			if (bytes)
				fwrite(c, 1, bytes, out);
			else
				fputc('?', out);
		}
		c += bytes ? bytes : 1;
	}
}

static bool starts_character(char c)
{
	return ((unsigned char)c & 0xc0) != 0x80;
}

static size_t length(const char *text)
{
	size_t count = 0;

	for (; *text; text++)
		count += starts_character(*text);
	return count;
}

/* The text from its n-th character on. */
static const char *skip(const char *text, size_t n)
{
	for (; *text && (n > 0 || !starts_character(*text)); text++)
		n -= starts_character(*text);
	return text;
}

double svg_text_width(const char *text)
{
	double ems = 0;

	for (; *text; text++)
		ems += strchr(" .,:;/|'!-ijlt()", *text) ? 0.37 : strchr("mwMW%@", *text) ? 1 : starts_character(*text) ? 0.66 : 0;
	return FONT_PX * ems;
}

/* Of a long name the middle goes: its end tells it apart from others. */
static void elide(const char *text, size_t room, char *ret_text, size_t size)
{
	size_t len = length(text), head;

	if (len <= room && strlen(text) < size) {
		snprintf(ret_text, size, "%s", text);
		return;
	}
	room = room < 3 ? 3 : room < (size - 1) / 4 ? room : (size - 1) / 4;
	head = (room - 1) / 3;
	snprintf(ret_text, size, "%.*s\u2026%s", (int)(skip(text, head) - text), text, skip(text, len - (room - 1 - head)));
}

void svg_text(struct svg *svg, double x, double y, const char *anchor, const char *class, double max_px, const char *text)
{
	char shown[1024];

	elide(text, max_px <= 0 || svg_text_width(text) <= max_px ? SIZE_MAX : (size_t)(max_px / CHARACTER_PX), shown, sizeof shown);
	fprintf(svg->out, "<text class=\"%s\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", class, x, y, anchor);
	svg_escape(svg->out, shown);
	if (strcmp(shown, text) != 0) {
		fputs("<title>", svg->out);
		svg_escape(svg->out, text);
		fputs("</title>", svg->out);
	}
	fputs("</text>\n", svg->out);
}

static void put_hatch(struct svg *svg, const char *id, const char *colour, double line_px)
{
	fprintf(svg->out,
		"<pattern id=\"%s\" width=\"7\" height=\"7\" patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\">"
		"<rect width=\"7\" height=\"7\" fill=\"%s\"/><rect width=\"%g\" height=\"7\" fill=\"%s\"/></pattern>\n",
		id, svg->palette->background, line_px, colour);
}

static void put_style(struct svg *svg)
{
	const struct svg_palette *p = svg->palette;

	fprintf(svg->out,
		"<style>text{font:%dpx \"DejaVu Sans\",Verdana,sans-serif;fill:%s}.title{font-size:13px;font-weight:bold}"
		".faint{fill:%s}.value,.factor{font-weight:bold}.grid{stroke:%s;fill:none}.border{stroke:%s;fill:none}"
		".line{fill:none;stroke-width:1.5;stroke-linejoin:round}.point{fill:none;stroke-width:5;stroke-linecap:round}"
		".edge{fill:none;stroke:%s;stroke-width:1.2}</style>\n",
		FONT_PX, p->text, p->faint, p->grid, p->border, p->text);
	fputs("<defs>", svg->out);
	put_hatch(svg, "hatch", p->border, 1.5);
	put_hatch(svg, "hatch-unknown", p->hatch, 1);
	put_hatch(svg, "hatch-first", p->series[0], 4);
	put_hatch(svg, "hatch-second", p->series[1], 1.5);
	fputs("</defs>\n", svg->out);
}

bool svg_begin(struct svg *svg, const struct chart_options *options, const char *kind, const char *description)
{
	const char *title = options->title ? options->title : "";

	memset(svg, 0, sizeof *svg);
	svg->options = options;
	svg->palette = &palettes[options->theme == CHART_DARK ? CHART_DARK : CHART_LIGHT];
	svg->out = open_memstream(&svg->text, &svg->size);
	if (!svg->out)
		return false;
	svg->left = 76;
	svg->top = title[0] ? 28 : 12;
	svg->width = options->width_px - svg->left - 12;
	svg->height = options->height_px - svg->top - 24;
	fprintf(svg->out,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" version=\"1.1\" width=\"%u\" height=\"%u\" viewBox=\"0 0 %u %u\" "
		"class=\"chart\" data-kind=\"%s\" role=\"img\" aria-labelledby=\"title desc\">\n<title id=\"title\">",
		options->width_px, options->height_px, options->width_px, options->height_px, kind);
	svg_escape(svg->out, title[0] ? title : kind);
	fputs("</title>\n<desc id=\"desc\">", svg->out);
	svg_escape(svg->out, description);
	fputs("</desc>\n", svg->out);
	put_style(svg);
	fprintf(svg->out, "<rect class=\"background\" width=\"%u\" height=\"%u\" fill=\"%s\"/>\n", options->width_px,
		options->height_px, svg->palette->background);
	if (title[0])
		svg_text(svg, 12, 18, "start", "title", (options->width_px - 24) * 0.8, title);
	return true;
}

char *svg_end(struct svg *svg)
{
	fputs("</svg>\n", svg->out);
	if (fclose(svg->out)) {
		free(svg->text);
		return NULL;
	}
	return svg->text;
}

void svg_empty(struct svg *svg, int64_t from_s, int64_t to_s)
{
	time_t from = (time_t)from_s, to = (time_t)to_s;
	char from_text[32], to_text[32], text[100];
	struct tm tm;

	strftime(from_text, sizeof from_text, "%Y-%m-%d %H:%M", gmtime_r(&from, &tm));
	strftime(to_text, sizeof to_text, "%Y-%m-%d %H:%M", gmtime_r(&to, &tm));
	snprintf(text, sizeof text, "no data between %s and %s UTC", from_text, to_text);
	svg_note(svg, text);
}

void svg_note(struct svg *svg, const char *text)
{
	svg_text(svg, svg->options->width_px / 2.0, svg->top + svg->height / 2, "middle", "empty", svg->options->width_px - 8, text);
}

/* --- values for people --- */

/* Three digits, four where they make a tick exact (1.125); none after the point that are 0. */
static void trim(double value, const char *unit, char *ret_text, size_t size)
{
	int digits = value == floor(value) ? 0 : 2 - (int)fmin(fmax(floor(log10(fabs(value))), -10), 2);
	char number[400];

	if (value != floor(value) && value * 8 == floor(value * 8))
		digits++;
	snprintf(number, sizeof number, "%.*f", digits, value);
	if (strchr(number, '.')) {
		size_t len = strlen(number);

		while (number[len - 1] == '0')
			number[--len] = '\0';
		if (number[len - 1] == '.')
			number[len - 1] = '\0';
	}
	snprintf(ret_text, size, "%s%s%s", number, unit[0] && !strchr("%/", unit[0]) ? " " : "", unit);
}

static void scaled(double value, double base, const char *const *prefixes, unsigned count, const char *suffix, char *ret_text,
		   size_t size)
{
	char unit[32];
	unsigned i = 0;

	while (i + 1 < count && value >= base - 0.5) {
		value /= base;
		i++;
	}
	snprintf(unit, sizeof unit, "%s%s", prefixes[i], suffix);
	trim(value, unit, ret_text, size);
}

void value_text(double value, enum metric_unit unit, char *ret_text, size_t size)
{
	static const char *const binary[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	static const char *const decimal[] = { "", "k", "M", "G", "T" };

	if (!isfinite(value)) {
		snprintf(ret_text, size, "unknown");
		return;
	}
	switch (unit) {
	case UNIT_BYTES:
	case UNIT_BPS:
		scaled(value, 1024, binary, 7, unit == UNIT_BPS ? "/s" : "", ret_text, size);
		break;
	case UNIT_SECONDS:
		if (value > 0 && value < 0.9995e-3)
			trim(value * 1e6, "us", ret_text, size);
		else if (value > 0 && value < 0.9995)
			trim(value * 1e3, "ms", ret_text, size);
		else
			trim(value, "s", ret_text, size);
		break;
	case UNIT_PERCENT:
		trim(value, "%", ret_text, size);
		break;
	case UNIT_OPS:
	case UNIT_EVENTS:
		scaled(value, 1000, decimal, 5, "/s", ret_text, size);
		break;
	case UNIT_COUNT:
	case UNITS:
		scaled(value, 1000, decimal, 5, "", ret_text, size);
		break;
	}
}

void svg_factor_text(double factor, char *ret_text, size_t size)
{
	double step = pow(10, floor(log10(factor)) - 2), round = step > 0.01 ? floor(factor / step + 0.5) * step : factor;
	char digits[40], grouped[64];
	size_t len, at = 0;

	if (round < 100) {
		snprintf(ret_text, size, "1 : %.3g", round);
		return;
	}
	snprintf(digits, sizeof digits, "%.0f", round);
	len = strlen(digits);
	for (size_t i = 0; i < len && at + 2 < sizeof grouped; i++) {
		grouped[at++] = digits[i];
		if ((len - 1 - i) % 3 == 0 && i + 1 < len)
			grouped[at++] = ',';
	}
	grouped[at] = '\0';
	snprintf(ret_text, size, "1 : %s", grouped);
}

/* --- axes --- */

static void put_border(struct svg *svg)
{
	fprintf(svg->out, "<rect class=\"border\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>\n", svg->left, svg->top,
		svg->width, svg->height);
}

/* The smallest of 1, 2, 5 times a power of ten (of two for bytes) that is not below `least`. */
static double round_step(double least, bool binary)
{
	double power = binary ? exp2(ceil(log2(least))) : pow(10, floor(log10(least)));

	if (binary || power >= least)
		return power;
	return 2 * power >= least ? 2 * power : 5 * power >= least ? 5 * power : 10 * power;
}

unsigned svg_ticks(double from, double to, bool binary, unsigned wanted, double ret_tick[SVG_TICKS_MAX])
{
	double step, least = (to - from) / (wanted ? wanted : 1);
	unsigned count = 0;

	if (!(least > 0) || isinf(least))
		return 0;
	step = round_step(least, binary && least >= 1);
	for (double n = ceil(from / step - 1e-9); n * step <= to * (1 + 1e-9) && count < SVG_TICKS_MAX; n++)
		ret_tick[count++] = n * step + 0.0; /* never -0 */
	return count;
}

unsigned svg_ticks_wanted(double height_px)
{
	return (unsigned)fmin(fmax(height_px / 26, 1), 8);
}

static const struct time_step {
	int64_t step_s; /* about, where it is months */
	int months;
	const char *format;
} time_steps[] = {
	{ 1, 0, "%H:%M:%S" }, { 2, 0, "%H:%M:%S" }, { 5, 0, "%H:%M:%S" }, { 10, 0, "%H:%M:%S" }, { 30, 0, "%H:%M:%S" },
	{ 60, 0, "%H:%M" }, { 120, 0, "%H:%M" }, { 300, 0, "%H:%M" }, { 600, 0, "%H:%M" }, { 900, 0, "%H:%M" },
	{ 1800, 0, "%H:%M" }, { 3600, 0, "%H:%M" }, { 7200, 0, "%H:%M" }, { 10800, 0, "%H:%M" }, { 21600, 0, "%d %b %H:%M" },
	{ 43200, 0, "%d %b %H:%M" }, { 86400, 0, "%d %b" }, { 172800, 0, "%d %b" }, { 604800, 0, "%d %b" },
	{ 1209600, 0, "%d %b" }, { 2592000, 1, "%b %Y" }, { 7776000, 3, "%b %Y" }, { 15552000, 6, "%b %Y" },
	{ 31536000, 12, "%Y" },
};

/* The first tick after `t`: clock times in UTC, first days of months. */
static int64_t next_tick(const struct time_step *step, int64_t t)
{
	time_t at = (time_t)t;
	struct tm tm;

	if (!step->months)
		return (t / step->step_s + 1) * step->step_s;
	gmtime_r(&at, &tm);
	tm = (struct tm){ .tm_year = tm.tm_year, .tm_mon = (tm.tm_mon / step->months + 1) * step->months, .tm_mday = 1 };
	return timegm(&tm);
}

void svg_time_axis(struct svg *svg, int64_t from_s, int64_t to_s)
{
	unsigned wanted = (unsigned)(svg->width / 84), last = sizeof time_steps / sizeof time_steps[0] - 1, i = 0;
	double y = svg->top + svg->height;

	while (i < last && (to_s - from_s) / time_steps[i].step_s > (wanted ? wanted : 1))
		i++;
	for (int64_t t = next_tick(&time_steps[i], from_s - 1); t <= to_s; t = next_tick(&time_steps[i], t)) {
		double x = svg->left + svg->width * (double)(t - from_s) / (double)(to_s - from_s), half;
		time_t at = (time_t)t;
		char label[32];
		struct tm tm;

		strftime(label, sizeof label, time_steps[i].format, gmtime_r(&at, &tm));
		half = svg_text_width(label) / 2;
		fprintf(svg->out, "<line class=\"grid\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n", x, svg->top, x, y);
		if (x - half > svg->left - 4 && x + half < svg->options->width_px - 2)
			svg_text(svg, x, y + 16, "middle", "tick faint", 0, label);
	}
	svg_text(svg, svg->left - 6, y + 16, "end", "zone faint", 0, "UTC");
	put_border(svg);
}

double svg_y(const struct svg *svg, const struct reduction *reduction, double value)
{
	return svg->top + svg->height * (1 - reduction_height(reduction, value));
}

static void zigzag(struct svg *svg, double x, double width, double y)
{
	fprintf(svg->out, "<path class=\"edge\" d=\"M%.1f %.1f", x, y);
	for (double at = 0, up = -1; at < width; at += ZIGZAG_PX, up = -up)
		fprintf(svg->out, "l%.1f %.1f", fmin(ZIGZAG_PX, width - at), up * ZIGZAG_PX / 2);
	fputs("\"/>\n", svg->out);
}

void svg_break_edges(struct svg *svg, double x, double width, const struct reduction_segment *s)
{
	zigzag(svg, x, width, svg->top + svg->height * (1 - s->from_height));
	zigzag(svg, x, width, svg->top + svg->height * (1 - s->to_height));
}

void svg_break(struct svg *svg, double x, double width, const struct reduction_segment *s)
{
	double low = svg->top + svg->height * (1 - s->from_height), high = svg->top + svg->height * (1 - s->to_height);

	fprintf(svg->out,
		"<g class=\"break\" data-from=\"%.17g\" data-to=\"%.17g\" data-factor=\"%.6g\">"
		"<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"url(#hatch)\"/>\n",
		s->from_value, s->to_value, s->factor, x, high, width, low - high);
	svg_break_edges(svg, x, width, s);
	fputs("</g>\n", svg->out);
}

/* What a break leaves out and how much smaller it is drawn: in the words that there is room for. */
static void put_factor(struct svg *svg, const struct reduction_segment *s, enum metric_unit unit, double y)
{
	double width, x;
	char factor[64], from[48], to[48], text[200];

	svg_factor_text(s->factor, factor, sizeof factor);
	value_text(s->from_value, unit, from, sizeof from);
	value_text(s->to_value, unit, to, sizeof to);
	snprintf(text, sizeof text, "%s to %s is drawn %s", from, to, factor);
	if (svg_text_width(text) * 1.1 + 10 > svg->width)
		snprintf(text, sizeof text, "%s to %s: %s", from, to, factor);
	if (svg_text_width(text) * 1.1 + 10 > svg->width)
		snprintf(text, sizeof text, "%s", factor);
	width = svg_text_width(text) * 1.1 + 10;
	x = svg->left + svg->width - width / 2 - 4; /* the widest bars are on the left */
	fprintf(svg->out,
		"<rect class=\"border\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%d\" rx=\"4\" style=\"fill:%s\"/>\n",
		x - width / 2, y - LABEL_PX / 2.0, width, LABEL_PX, svg->palette->background);
	svg_text(svg, x, y + 4, "middle", "factor", 0, text);
}

void svg_factors(struct svg *svg, const struct reduction *r, enum metric_unit unit)
{
	double below = svg->top + svg->height + LABEL_PX; /* where the label below is: none lies on another */

	for (unsigned i = 0; i < r->count; i++) {
		const struct reduction_segment *s = &r->segment[i];
		double y = svg->top + svg->height * (1 - (s->from_height + s->to_height) / 2);

		if (s->factor <= 1)
			continue;
		below = fmin(y, below - LABEL_PX);
		put_factor(svg, s, unit, below);
	}
}

/* Below the label of the most, which is the end of an axis with breaks. */
static bool beside_top(const struct svg *svg, const struct reduction *r, double value)
{
	return r->breaks && value < r->max_value && svg_y(svg, r, value) < svg->top + FONT_PX + 2;
}

static void tick_at(struct svg *svg, const struct reduction *reduction, enum metric_unit unit, double value)
{
	double y = svg_y(svg, reduction, value);
	char label[48];

	value_text(value, unit, label, sizeof label);
	fprintf(svg->out, "<line class=\"grid\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n", svg->left, y,
		svg->left + svg->width, y);
	svg_text(svg, svg->left - 6, y + 4, "end", "tick faint", 0, label);
}

/* Values of which the text is not quite true (40 TiB less 2 GiB) say nothing between true ones: false. */
static bool tells(double value, double step, enum metric_unit unit)
{
	char text[48], beside[48];

	value_text(value, unit, text, sizeof text);
	value_text(value - step / 2, unit, beside, sizeof beside);
	return strcmp(text, beside) != 0;
}

void svg_value_axis(struct svg *svg, const struct reduction *reduction, enum metric_unit unit)
{
	bool binary = unit == UNIT_BYTES || unit == UNIT_BPS;

	for (unsigned i = 0; i < reduction->count; i++) {
		const struct reduction_segment *s = &reduction->segment[i];
		double room = (s->to_height - s->from_height) * svg->height, tick[SVG_TICKS_MAX], step;
		unsigned count = 0, told = 0;

		if (s->factor > 1)
			continue;
		if (i == 0 || room > 20)
			count = svg_ticks(s->from_value, s->to_value, binary, svg_ticks_wanted(room), tick);
		step = count > 1 ? tick[1] - tick[0] : s->to_value - s->from_value;
		for (unsigned t = 0; t < count; t++)
			if (!beside_top(svg, reduction, tick[t]) && (i == 0 || tells(tick[t], step, unit))) {
				tick_at(svg, reduction, unit, tick[t]);
				told++;
			}
		if (told == 0 && i + 1 == reduction->count)
			tick_at(svg, reduction, unit, reduction->max_value);
	}
	put_border(svg);
}
