#include "cli/network_answer.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <sstream>

#include "base/table.h"
#include "base/text.h"
#include "plan/scenario_names.h"

namespace isochrone::cli {

namespace {

using nlohmann::ordered_json;

constexpr std::size_t kLinksShown = 5;  // in text; JSON has them all

std::string TrafficOf(const study::LinkLine& link) {
  std::string text;
  for (const study::TrafficLine& traffic : link.traffic)
    text += (text.empty() ? "" : ", ") + std::string(plan::NameOf(traffic.stream)) + " " + HumanBytes(traffic.bytes);
  return text;
}

std::string When(const study::LinkLine& link) {
  if (link.load.shared.value == 0) return "never";
  return HumanTime(link.load.first_shared) + " to " + HumanTime(link.load.last_shared);
}

std::string OrderName(const study::Placement& placement) {
  return plan::RankOrderNames()[static_cast<std::size_t>(placement.order)];
}

/// "  nic -> leaf      |####......|": filled to the mean load of the tier, dotted to its fullest link.
std::string Drawing(const study::NetworkAnswer& network) {
  constexpr int kWidth = 40;
  const Seconds step(network.step.step.makespan);
  std::ostringstream out;
  for (const sim::network::TierLoad& tier : network.step.tiers) {
    const double mean = tier.Utilisation(step), most = tier.most_utilised;
    const auto cells = [](double share) { return static_cast<int>(std::ceil(std::min(1.0, share) * kWidth - 1e-9)); };
    std::string name = std::string(NameOf(tier.from)) + " -> " + NameOf(tier.to);
    name.resize(20, ' ');
    std::string bar(static_cast<std::size_t>(cells(mean)), '#');
    bar += std::string(static_cast<std::size_t>(cells(most) - cells(mean)), '.');
    bar.resize(kWidth, ' ');
    out << "  " << name << "|" << bar << "|  mean " << Percent(mean) << ", fullest " << Percent(most) << " of "
        << Grouped(tier.links) << " links\n";
  }
  return out.str();
}

std::string PlacementText(const study::NetworkAnswer& network) {
  if (!network.elsewhere) return "";
  const study::Placement& other = *network.elsewhere;
  return "With \"rank_order\": \"" + OrderName(other) + "\" the step takes " +
         HumanTime(Seconds(std::abs(other.gain.value))) + (other.gain.value < 0 ? " more" : " less") +
         "; sharing links then costs " + (other.contention.value > 0 ? HumanTime(other.contention) : "nothing") + ".\n";
}

}  // namespace

std::string NetworkText(const study::NetworkAnswer& network) {
  std::ostringstream out;
  out << "Network: " << network.fabric << ", " << Grouped(network.step.messages) << " messages, played by "
      << network.engine << "; "
      << (network.contention.value == 0 ? "sharing links costs nothing"
                                        : "sharing links costs " + HumanTime(network.contention) + " of the step")
      << ".\n"
      << "Half of the cluster reaches the other half at " << HumanBytes(network.bisection * Seconds(1)) << "/s.\n"
      << Drawing(network);
  Table links({{"link", "link", "", Align::kLeft},
               {"load", "load", "%"},
               {"shared", "shared for", "s"},
               {"most", "at once", ""},
               {"delay", "messages late by", "s"},
               {"when", "shared from", "", Align::kLeft},
               {"traffic", "traffic", "", Align::kLeft}});
  for (std::size_t i = 0; i < std::min(kLinksShown, network.links.size()); ++i) {
    const study::LinkLine& link = network.links[i];
    links.AddRow({link.name, Number{100 * link.utilisation, 1}, Number{link.load.shared.value, 3},
                  static_cast<std::int64_t>(link.load.most_at_once), Number{link.load.delay.value, 3}, When(link),
                  TrafficOf(link)});
  }
  out << links.Text() << "\n" << PlacementText(network);
  return out.str();
}

ordered_json LinksJson(const study::NetworkAnswer& network) {
  ordered_json links = ordered_json::array();
  for (const study::LinkLine& link : network.links) {
    ordered_json traffic = ordered_json::array();
    for (const study::TrafficLine& t : link.traffic)
      traffic.push_back({{"stream", plan::NameOf(t.stream)}, {"messages", t.messages}, {"bytes", t.bytes.value}});
    links.push_back({{"name", link.name},
                     {"bytes", link.load.bytes.value},
                     {"load", link.load.busy.value / network.step.step.makespan},
                     {"utilisation", link.utilisation},
                     {"busy_s", link.load.busy.value},
                     {"shared_s", link.load.shared.value},
                     {"first_shared_s", link.load.first_shared.value},
                     {"last_shared_s", link.load.last_shared.value},
                     {"most_at_once", link.load.most_at_once},
                     {"delay_s", link.load.delay.value},
                     {"traffic", traffic}});
  }
  return links;
}

ordered_json NetworkJson(const study::NetworkAnswer& network) {
  ordered_json tiers = ordered_json::array();
  for (const sim::network::TierLoad& tier : network.step.tiers)
    tiers.push_back({{"from", NameOf(tier.from)},
                     {"to", NameOf(tier.to)},
                     {"links", tier.links},
                     {"bytes", tier.bytes.value},
                     {"utilisation", tier.Utilisation(Seconds(network.step.step.makespan))},
                     {"most_utilised", tier.most_utilised}});
  ordered_json elsewhere;
  if (const auto& other = network.elsewhere) {
    elsewhere = {{"rank_order", OrderName(*other)},
                 {"step_time_s", other->step_time.value},
                 {"contention_s", other->contention.value}};
  }
  return {{"fabric", network.fabric},
          {"engine", network.engine},
          {"messages", network.step.messages},
          {"uncontended_s", network.step.uncontended.value},
          {"contention_s", network.contention.value},
          {"bisection_bytes_per_s", network.bisection.value},
          {"elsewhere", elsewhere},
          {"tiers", tiers}};
}

}  // namespace isochrone::cli
