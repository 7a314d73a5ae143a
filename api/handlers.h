/* The handlers of routes.def, one per name. Each answers the request, at once or later, exactly once (request.h). */
#ifndef LUNETTE_API_HANDLERS_H
#define LUNETTE_API_HANDLERS_H

struct request;

/* resources.c: everything in `config` */
void resource_list(struct request *rq);
void resource_get(struct request *rq);
void resource_put(struct request *rq);
void resource_patch(struct request *rq);
void resource_delete(struct request *rq);
void get_config(struct request *rq);
void put_config(struct request *rq);

/* runtime.c: what workers know */
void get_lun_map(struct request *rq);
void list_port_groups(struct request *rq);
void get_reservations(struct request *rq);
void delete_reservations(struct request *rq);
void list_sessions(struct request *rq);
void get_session(struct request *rq);
void delete_session(struct request *rq);
void list_operations(struct request *rq);
void get_operation(struct request *rq);
void delete_operation(struct request *rq);

/* tokens.c */
void list_tokens(struct request *rq);
void get_token(struct request *rq);
void put_token(struct request *rq);
void delete_token(struct request *rq);

/* pages.c, health.c, metrics.c, audit.c */
void get_front_page(struct request *rq);
void get_livez(struct request *rq);
void get_readyz(struct request *rq);
void get_contract(struct request *rq);
void get_version(struct request *rq);
void get_capabilities(struct request *rq);
void get_events(struct request *rq);
void get_health(struct request *rq);
void get_metrics(struct request *rq);
void list_audit(struct request *rq);

/* series.c, charts.c, top.c, live.c: what is measured */
void list_metrics(struct request *rq);
void get_series(struct request *rq);
void get_series_csv(struct request *rq);
void list_charts(struct request *rq);
void get_chart(struct request *rq);
void get_top(struct request *rq);
void get_live(struct request *rq);

/* login.c, assets.c: for browsers */
void get_login(struct request *rq);
void post_login(struct request *rq);
void delete_login(struct request *rq);
void get_asset(struct request *rq);

#endif
