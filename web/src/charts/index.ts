/* The charts: two pages for the router and pieces for other pages. */
import "./charts.css";

export { ChartsPage } from "./charts_page";
export { GroupChart, type GroupChartProps } from "./group_chart";
export { ObjectCharts, type ObjectChartsProps } from "./object_charts";
export { Sparkline, type SparklineProps } from "./sparkline";
export { DEFAULT_STATE, type GroupState } from "./state";
export { WorkersPage } from "./workers_page";
