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

    /// <summary>Counts an open.</summary>
    /// <param name="failure">Why it failed; null where it did not.</param>
    public void Count(ConnectionUnavailableException? failure)
    {
        var context = ResilienceContextPool.Shared.Get(CancellationToken.None);

        // Not async: there is nothing in it that waits.
        _ = Pipeline
            .ExecuteOutcomeAsync<bool, ConnectionUnavailableException?>(
                static (_, failure) =>
                    new(failure is null ? Outcome.FromResult(true) : Outcome.FromException<bool>(failure)),
                context,
                failure
            )
            .AsTask()
            .GetAwaiter()
            .GetResult();
        ResilienceContextPool.Shared.Return(context);
    }

    public bool IsOpen => _state.CircuitState != CircuitState.Closed;
}
