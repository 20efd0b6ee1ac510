using Microsoft.Extensions.Logging;
using Polly;
using Polly.CircuitBreaker;

namespace NeoCommons.EfCore.Admin;

/// <summary>How long Redis is waited for, and how long it is left alone when it fails.</summary>
internal static class SharedCacheGuard
{
    public static ResiliencePipeline Build(RegistryCacheOptions options, TimeProvider time, ILogger log) =>
        new ResiliencePipelineBuilder { TimeProvider = time }
            .AddCircuitBreaker(
                new CircuitBreakerStrategyOptions
                {
                    // The first two that fail open it, a lookup and what it would have kept: it takes no fewer.
                    MinimumThroughput = 2,
                    FailureRatio = 0.5,
                    SamplingDuration = options.BreakDuration,
                    BreakDuration = options.BreakDuration,
                    OnOpened = opened =>
                    {
                        RegistryLogMessages.SharedCacheAway(log, opened.Outcome.Exception, opened.BreakDuration);
                        return default;
                    },
                }
            )
            .AddTimeout(options.Timeout)
            .Build();
}
