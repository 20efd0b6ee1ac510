using Polly;
using Polly.CircuitBreaker;

namespace NeoCommons.EfCore;

/// <summary>Polly's circuit breaker, fed with what is known of a server since it was well last.</summary>
internal sealed class FailureWindow
{
    private readonly CircuitBreakerStateProvider _state = new();

    public FailureWindow(ConnectionBreakerOptions options, TimeProvider time) =>
        Pipeline = new ResiliencePipelineBuilder { TimeProvider = new MonotonicTime(time) }
            .AddCircuitBreaker(
                new CircuitBreakerStrategyOptions
                {
                    FailureRatio = options.FailureRatio,
                    MinimumThroughput = options.MinimumThroughput,
                    SamplingDuration = options.SamplingDuration,
                    BreakDuration = options.BreakDuration,
                    ShouldHandle = static outcome => new(outcome.Outcome.Exception is ConnectionUnavailableException),
                    StateProvider = _state,
                }
            )
            .Build();

    public ResiliencePipeline Pipeline { get; }

    public bool IsOpen => _state.CircuitState != CircuitState.Closed;
}
