/* What is wrong, and what to do about it: derived anew for each question from the state of control. Pure but for time. */
#ifndef LUNETTE_API_HEALTH_H
#define LUNETTE_API_HEALTH_H

#include <jansson.h>

#include "api/service.h"

enum health { HEALTH_OK, HEALTH_WARNING, HEALTH_ERROR };

/* {"status": "ok"|"warning"|"error", "summary": "...", "reasons": [{"severity", "object", "detail", "remedy"}]};
 * new reference. ret_health may be NULL. */
json_t *health_view(const struct service *service, enum health *ret_health);

#endif
