using System.Linq.Expressions;
using System.Reflection;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Diagnostics;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Metadata;
using Microsoft.EntityFrameworkCore.Storage;

namespace NeoCommons.EfCore;

/// <summary>Remembers which tenant's context has materialised an entity, for as long as the entity lives.</summary>
/// <remarks>
/// A call is compiled into the materializer, behind the constructor. EF's own interceptors of materialization would make it
/// collect a dictionary of each entity's values.
/// </remarks>
internal sealed class EntityOwners : IInstantiationBindingInterceptor
{
    private const int Tables = 16;

    // Each thread notes in one of them; each has a lock.
    private static readonly EntityOwnerTable[] Known =
    [
        .. Enumerable.Range(0, Tables).Select(_ => new EntityOwnerTable()),
    ];

    // The context that this thread has made an entity for last: a list of entities asks for its services once.
    [ThreadStatic]
    private static WeakReference<DbContext>? _context;

    [ThreadStatic]
    private static TenantLease? _lease;

    /// <summary>The tenant whose context has materialised the entity; null where none has.</summary>
    public static Tenant? Of(object entity)
    {
        foreach (var table in Known)
        {
            if (table.Find(entity) is { } owner)
            {
                return owner;
            }
        }

        return null;
    }

    public InstantiationBinding ModifyBinding(
        InstantiationBindingInterceptionData interceptionData,
        InstantiationBinding binding
    ) => interceptionData.TypeBase is IEntityType && !binding.RuntimeType.IsValueType ? new Noting(binding) : binding;

    private static TEntity Note<TEntity>(TEntity entity, MaterializationContext context)
        where TEntity : class
    {
        if (LeaseOf(context.Context).Tenant is { } owner)
        {
            Known[Environment.CurrentManagedThreadId % Tables].Add(entity, owner);
        }

        return entity;
    }

    private static TenantLease LeaseOf(DbContext context)
    {
        var last = _context ??= new WeakReference<DbContext>(context);
        if (_lease is null || !last.TryGetTarget(out var known) || !ReferenceEquals(known, context))
        {
            _lease = context.GetService<TenantLease>();
            last.SetTarget(context);
        }

        return _lease;
    }

    private sealed class Noting(InstantiationBinding inner) : InstantiationBinding(inner.ParameterBindings)
    {
        private static readonly MethodInfo NoteMethod = new Func<object, MaterializationContext, object>(
            Note
        ).Method.GetGenericMethodDefinition();

        public override Type RuntimeType => inner.RuntimeType;

        public override Expression CreateConstructorExpression(ParameterBindingInfo bindingInfo) =>
            Expression.Call(
                NoteMethod.MakeGenericMethod(RuntimeType),
                inner.CreateConstructorExpression(bindingInfo),
                bindingInfo.MaterializationContextExpression
            );

        public override InstantiationBinding With(IReadOnlyList<ParameterBinding> parameterBindings) =>
            new Noting(inner.With(parameterBindings));
    }
}
