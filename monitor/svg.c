/* What the drawings share: see svg.h. */
#include "monitor/svg.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FONT_PX    11
#define ZIGZAG_PX  6

static const struct svg_palette palettes[] = {
	[CHART_LIGHT] = { "#ffffff", "#1c2430", "#5b6675", "#e4e8ee", "#c2c9d3", "#8a94a3",
			  { "#0072b2", "#d55e00", "#009e73", "#b8559a", "#b88a00", "#2f8fce", "#5c5c5c", "#8a6d00" } },
	[CHART_DARK] = { "#141a22", "#e8edf4", "#9aa6b6", "#27303c", "#445060", "#7c8797",
			 { "#56b4e9", "#ff9d4d", "#2fd0a0", "#e29ac6", "#f0d24a", "#7fa8ff", "#c9c9c9", "#d9b650" } },
};

const char *const svg_dashes[SVG_COLOURS] = { "", "6 3", "2 2", "9 3 2 3", "4 2", "1 3", "12 3", "3 1" };

/* --- frame and text --- */

void svg_escape(FILE *out, const char *text)
{
	for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
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
			if (*c < 0x20 || *c >= 0x7f)
				fputc('?', out); /* XML cannot say control characters, and names are not always UTF-8 */
			else
				fputc(*c, out);
		}
	}
}

double svg_text_width(const char *text)
{
	return 0.62 * FONT_PX * (double)strlen(text);
}

/* Of a long name the middle goes: its end tells it apart from others. */
static void elide(const char *text, size_t room, char *ret_text, size_t size)
{
	size_t len = strlen(text), head, tail;

	if (room < 3)
		room = 3;
	if (len <= room || size < room + 1) {
		snprintf(ret_text, size, "%s", text);
		return;
	}
	head = (room - 2) / 3;
	tail = room - 2 - head;
	snprintf(ret_text, size, "%.*s..%s", (int)head, text, text + len - tail);
}

void svg_text(struct svg *svg, double x, double y, const char *anchor, const char *class, double max_px, const char *text)
{
	size_t room = max_px > 0 ? (size_t)(max_px / (0.62 * FONT_PX)) : 300;
	char shown[320];

	elide(text, room < 300 ? room : 300, shown, sizeof shown);
	fprintf(svg->out, "<text class=\"%s\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", class, x, y, anchor);
	svg_escape(svg->out, shown);
	if (strcmp(shown, text) != 0) {
		fputs("<title>", svg->out);
		svg_escape(svg->out, text);
		fputs("</title>", svg->out);
	}
	fputs("</text>\n", svg->out);
}

void svg_label(struct svg *svg, double x, double y, const char *text)
{
	double width = fmin(svg_text_width(text) * 1.1 + 10, svg->options->width_px - 8);

	fprintf(svg->out, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"16\" rx=\"3\" fill=\"%s\"/>\n", x - width / 2,
		y - 12, width, svg->palette->background);
	svg_text(svg, x, y, "middle", "factor", width - 6, text);
}

static void put_style(struct svg *svg)
{
	const struct svg_palette *p = svg->palette;

	fprintf(svg->out,
		"<style>text{font:%dpx \"DejaVu Sans\",Verdana,sans-serif;fill:%s}.title{font-size:13px;font-weight:bold}"
		".faint{fill:%s}.value,.factor{font-weight:bold}.grid{stroke:%s;fill:none}.border{stroke:%s;fill:none}"
		".line{fill:none;stroke-width:1.5;stroke-linejoin:round}.edge{fill:none;stroke:%s;stroke-width:1.2}</style>\n",
		FONT_PX, p->text, p->faint, p->grid, p->border, p->text);
	fprintf(svg->out,
		"<defs><pattern id=\"hatch\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" "
		"patternTransform=\"rotate(45)\"><rect width=\"6\" height=\"6\" fill=\"%s\"/>"
		"<line x1=\"0\" y1=\"0\" x2=\"0\" y2=\"6\" stroke=\"%s\" stroke-width=\"2\"/></pattern></defs>\n",
		p->background, p->hatch);
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
	svg->left = 62;
	svg->top = title[0] ? 28 : 12;
	svg->width = options->width_px - svg->left - 14;
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

void svg_empty(struct svg *svg, const char *text)
{
	svg_text(svg, svg->left + svg->width / 2, svg->top + svg->height / 2, "middle", "empty faint", svg->options->width_px - 16,
		 text);
}

/* --- values for people --- */

static void trim(double value, const char *unit, char *ret_text, size_t size)
{
	int digits = value >= 100 || value == floor(value) ? 0 : value >= 10 ? 1 : 2;
	char number[32];

	snprintf(number, sizeof number, "%.*f", digits, value);
	if (strchr(number, '.')) {
		size_t len = strlen(number);

		while (number[len - 1] == '0')
			number[--len] = '\0';
		if (number[len - 1] == '.')
			number[len - 1] = '\0';
	}
	snprintf(ret_text, size, "%s%s%s", number, unit[0] && unit[0] != '%' ? " " : "", unit);
}

static void scaled(double value, double base, const char *const *prefixes, unsigned count, const char *suffix, char *ret_text,
		   size_t size)
{
	char unit[32];
	unsigned i = 0;

	while (i + 1 < count && value >= base * 0.99995) {
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

	if (isnan(value) || isinf(value)) {
		snprintf(ret_text, size, "unknown");
		return;
	}
	switch (unit) {
	case UNIT_BYTES:
	case UNIT_BPS:
		scaled(value, 1024, binary, 7, unit == UNIT_BPS ? "/s" : "", ret_text, size);
		break;
	case UNIT_SECONDS:
		if (value > 0 && value < 1e-3)
			trim(value * 1e6, "us", ret_text, size);
		else if (value > 0 && value < 1)
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

static const struct time_step {
	int64_t step_s;
	const char *format;
} time_steps[] = {
	{ 1, "%H:%M:%S" }, { 2, "%H:%M:%S" }, { 5, "%H:%M:%S" }, { 10, "%H:%M:%S" }, { 30, "%H:%M:%S" }, { 60, "%H:%M" },
	{ 120, "%H:%M" }, { 300, "%H:%M" }, { 600, "%H:%M" }, { 1800, "%H:%M" }, { 3600, "%H:%M" }, { 7200, "%H:%M" },
	{ 10800, "%H:%M" }, { 21600, "%d %b %H:%M" }, { 43200, "%d %b %H:%M" }, { 86400, "%d %b" }, { 172800, "%d %b" },
	{ 604800, "%d %b" }, { 1209600, "%d %b" }, { 2592000, "%d %b %Y" }, { 7776000, "%b %Y" }, { 15552000, "%b %Y" },
	{ 31536000, "%Y" },
};

void svg_time_axis(struct svg *svg, int64_t from_s, int64_t to_s)
{
	unsigned wanted = (unsigned)(svg->width / 80), last = sizeof time_steps / sizeof time_steps[0] - 1, i = 0;
	double y = svg->top + svg->height;

	while (i < last && (to_s - from_s) / time_steps[i].step_s > (wanted ? wanted : 1))
		i++;
	for (int64_t t = (from_s + time_steps[i].step_s - 1) / time_steps[i].step_s * time_steps[i].step_s; t <= to_s;
	     t += time_steps[i].step_s) {
		double x = svg->left + svg->width * (double)(t - from_s) / (double)(to_s - from_s);
		time_t at = (time_t)t;
		char label[32];
		struct tm tm;

		strftime(label, sizeof label, time_steps[i].format, gmtime_r(&at, &tm));
		fprintf(svg->out, "<line class=\"grid\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n", x, svg->top, x, y);
		if (x - svg->left >= 16 && svg->left + svg->width - x >= svg_text_width(label) / 2 - 10)
			svg_text(svg, x, y + 15, "middle", "tick faint", 0, label);
	}
	svg_text(svg, svg->left - 6, y + 15, "end", "zone faint", 0, "UTC");
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

void svg_break(struct svg *svg, double x, double width, const struct reduction_segment *s)
{
	double low = svg->top + svg->height * (1 - s->from_height), high = svg->top + svg->height * (1 - s->to_height);

	fprintf(svg->out,
		"<g class=\"break\" data-from=\"%.17g\" data-to=\"%.17g\" data-factor=\"%.6g\">"
		"<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"url(#hatch)\"/>\n",
		s->from_value, s->to_value, s->factor, x, high, width, low - high);
	zigzag(svg, x, width, low);
	zigzag(svg, x, width, high);
	fputs("</g>\n", svg->out);
}

static void tick_at(struct svg *svg, const struct reduction *reduction, enum metric_unit unit, double value)
{
	double y = svg_y(svg, reduction, value);
	char label[48];

	value_text(value, unit, label, sizeof label);
	fprintf(svg->out, "<line class=\"grid\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n", svg->left, y,
		svg->left + svg->width, y);
	svg_text(svg, svg->left - 6, y + 4, "end", "tick faint", svg->left - 6, label);
}

void svg_value_axis(struct svg *svg, const struct reduction *reduction, enum metric_unit unit)
{
	bool binary = unit == UNIT_BYTES || unit == UNIT_BPS;

	for (unsigned i = 0; i < reduction->count; i++) {
		const struct reduction_segment *s = &reduction->segment[i];
		double room = (s->to_height - s->from_height) * svg->height, tick[SVG_TICKS_MAX];
		unsigned count;

		if (s->factor > 1)
			continue;
		count = room < 20 ? 0 : svg_ticks(s->from_value, s->to_value, binary, (unsigned)fmin(room / 26, 8), tick);
		for (unsigned t = 0; t < count; t++)
			tick_at(svg, reduction, unit, tick[t]);
	}
	fprintf(svg->out, "<rect class=\"border\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>\n", svg->left, svg->top,
		svg->width, svg->height);
}
